"""The batch scripts, run by bash with stand-ins for SLURM: which node starts what."""

import os
import subprocess

import pytest

from tests.recipes.folders import ROOT

SLURM = ROOT / "slurm"
TELLS = 'echo "$SLURMD_NODENAME: $SRUN_CPUS_PER_TASK: $(basename "$0") $*" >> "$LOG"'
# Every node in turn; the names of nodes are those of --nodelist.
SRUN = """
nodes=$NODES
while [[ $1 == --* ]]; do
  if [[ $1 == --nodelist=* ]]; then nodes=${1#*=}; fi
  shift
done
rank=0
for node in ${nodes//,/ }; do
  SLURMD_NODENAME=$node SLURM_NODEID=$rank SLURM_PROCID=$rank "$@"
  rank=$((rank + 1))
done
"""
# The training ends no earlier than the server has been started: what is left of it is killed then.
ACCELERATE = f"""
for _ in {{1..100}}; do
  if [[ -z ${{AWAITED:-}} ]] || grep -q "$AWAITED" "$LOG" 2>/dev/null; then break; fi
  /bin/sleep 0.1
done
{TELLS}
"""
COMMANDS = {
    "scontrol": 'printf "%s\\n" $NODES',
    "srun": SRUN,
    "accelerate": ACCELERATE,
    "trl": TELLS,
    "ray": TELLS,
    "sleep": "",
}


@pytest.fixture
def started(tmp_path):
    for name, code in COMMANDS.items():
        (tmp_path / name).write_text(f"#!/bin/bash\n{code}\n")
        (tmp_path / name).chmod(0o755)

    def run(script, *words, nodes=1, **given):
        log = tmp_path / "log"
        slurm = {"SLURM_SUBMIT_DIR": str(tmp_path), "SLURM_CPUS_PER_TASK": "64", "SLURM_GPUS_ON_NODE": "8"}
        slurm |= {"SLURM_NNODES": str(nodes), "SLURM_JOB_NODELIST": "n[0-99]", "LOG": str(log)}
        slurm |= {"NODES": " ".join(f"n{index}" for index in range(nodes)), "PATH": f"{tmp_path}:{os.environ['PATH']}"}
        subprocess.run(["bash", str(SLURM / script), *words], check=True, env=os.environ | slurm | given)
        lines = [line.split(": ", 2) for line in log.read_text().splitlines()]
        assert {cpus for _, cpus, _ in lines} == {"64"}  # srun does not take it from the job
        return [(node, command) for node, _, command in lines]

    return run


def test_single_node(started):
    ((node, command),) = started("single_node.sbatch", "sft", "--config", "my recipe.yaml")
    assert node == "n0"
    assert "--config_file recipes/accelerate/ddp.yaml --num_processes 8 " in command
    assert "-m r1_trl sft --config my recipe.yaml --resume_from_checkpoint true" in command


def test_every_node_has_its_rank(started):
    found = started("multi_node.sbatch", "sft", "--config", "x.yaml", nodes=2)
    for rank, (node, command) in enumerate(found):
        assert node == f"n{rank}"
        assert f"--num_machines 2 --num_processes 16 --machine_rank {rank} --main_process_ip n0 " in command
        assert "-m r1_trl sft --config x.yaml --resume_from_checkpoint true" in command


def test_the_last_node_serves(started):
    found = started("vllm_server.sbatch", "base", "--config", "x.yaml", nodes=3, AWAITED=": trl")
    served = "trl vllm-serve --model base --tensor_parallel_size 1 --host 0.0.0.0 --port 8000"
    assert found[0] == ("n2", served)
    assert [node for node, _ in found[1:]] == ["n0", "n1"]
    assert all("--num_machines 2 --num_processes 16" in command for _, command in found[1:])
    assert all("--vllm_mode server --vllm_server_host n2 " in command for _, command in found[1:])


def test_several_nodes_serve_through_ray(started):
    given = {"SERVER_NODES": "2", "TENSOR_PARALLEL": "16", "AWAITED": "--address", "CONFIG": "my.yaml"}
    found = started("vllm_server.sbatch", "base", "--config", "x.yaml", nodes=3, **given)
    served = "trl vllm-serve --model base --tensor_parallel_size 16 --host 0.0.0.0 --port 8000"
    assert found[:3] == [
        ("n1", "ray start --head --port 6379"),
        ("n1", f"{served} --distributed_executor_backend ray"),
        ("n2", "ray start --address n1:6379 --block"),
    ]
    ((node, command),) = found[3:]
    assert node == "n0"
    assert "--config_file my.yaml --num_machines 1 --num_processes 8" in command
    assert "--vllm_server_host n1 " in command
