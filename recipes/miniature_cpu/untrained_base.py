"""Writes a miniature model before its training: a word-level tokenizer and a random Qwen3.

`base` has a million weights, `student` half as many. `make miniature-base` and `make miniature-student` call it, and
train the result by `r1-trl sft --config recipes/miniature_cpu/base.yaml`.
"""

import argparse

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast, Qwen3Config, Qwen3ForCausalLM, set_seed

from r1_trl.tasks.arithmetic import vocabulary

PAD, END, UNKNOWN = "<|pad|>", "<|end|>", "<|unknown|>"
ROLES = ("<|system|>", "<|user|>", "<|assistant|>")
TAGS = ("<think>", "</think>", "<answer>", "</answer>")  # ordinary words: decoding must not skip them
CHAT_TEMPLATE = (
    "{%- for message in messages -%}"
    "{{ '<|' + message['role'] + '|> ' + message['content'] + ' <|end|> ' }}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{ '<|assistant|> ' }}{%- endif -%}"
)
SHAPES = {
    "base": {"hidden_size": 160, "num_attention_heads": 5, "num_key_value_heads": 5, "intermediate_size": 448},
    "student": {"hidden_size": 112, "num_attention_heads": 4, "num_key_value_heads": 4, "intermediate_size": 304},
}


def build_tokenizer() -> PreTrainedTokenizerFast:
    words = [PAD, END, UNKNOWN, *ROLES, *TAGS, *vocabulary()]
    tokenizer = Tokenizer(models.WordLevel({word: index for index, word in enumerate(words)}, unk_token=UNKNOWN))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.decoder = decoders.WordPiece(prefix="##", cleanup=False)  # joins the words with spaces
    tokenizer.add_tokens([AddedToken(tag, special=False) for tag in TAGS])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=PAD,
        eos_token=END,
        unk_token=UNKNOWN,
        additional_special_tokens=list(ROLES),
        chat_template=CHAT_TEMPLATE,
        padding_side="left",
        model_max_length=256,
        clean_up_tokenization_spaces=False,
    )


def build_model(tokenizer: PreTrainedTokenizerFast, shape: str) -> Qwen3ForCausalLM:
    config = Qwen3Config(
        vocab_size=len(tokenizer),
        num_hidden_layers=3,
        head_dim=32,
        **SHAPES[shape],
        max_position_embeddings=256,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    return Qwen3ForCausalLM(config)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output_dir", required=True, help="where the model and its tokenizer go")
    parser.add_argument("--shape", choices=SHAPES, default="base", help="default: %(default)s")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    set_seed(args.seed)
    tokenizer = build_tokenizer()
    model = build_model(tokenizer, args.shape)
    model.save_pretrained(args.output_dir)
    tokenizer.save_pretrained(args.output_dir)
    print(f"{model.num_parameters():,} parameters, {len(tokenizer)} tokens -> {args.output_dir}")


if __name__ == "__main__":
    main()
