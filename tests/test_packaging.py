"""The wheel brings the command, the recipes, the base model, the type marker and the licence."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MEBIBYTE = 1024 * 1024


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    words = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(folder), str(ROOT)]
    subprocess.run(words, check=True)
    (path,) = folder.glob("r1_trl-*.whl")
    return path


def test_contents(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    expected = {
        "r1_trl/py.typed",
        "r1_trl/recipes/miniature_cpu/grpo.yaml",
        "r1_trl/recipes/miniature_cpu/README.md",
        "r1_trl/miniature/base/model.safetensors",
        "r1_trl/miniature/base/README.md",
        "r1_trl/report/page.html",
        "r1_trl/report/page.css",
        "r1_trl/report/page.js",
    }
    assert expected - set(names) == set()
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert not [name for name in names if name.startswith(("tests/", "docs/", "runs/"))]


def test_base_model_is_small():
    files = (ROOT / "r1_trl" / "miniature" / "base").iterdir()
    assert sum(file.stat().st_size for file in files) <= 4 * MEBIBYTE


def test_installed_wheel_works_outside_the_repository(wheel, tmp_path):
    """In a clean environment that sees the same dependencies, but not the repository."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "env")], check=True)
    python = tmp_path / "env" / "bin" / "python"
    install = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--no-deps", str(wheel)]
    subprocess.run(install, check=True)
    site = next((tmp_path / "env" / "lib").glob("python*/site-packages"))
    dependencies = next(Path(path) for path in sys.path if path.endswith("site-packages"))
    (site / "dependencies.pth").write_text(f"import site; site.addsitedir({str(dependencies)!r})\n")

    def r1_trl(*words):
        command = [str(tmp_path / "env" / "bin" / "r1-trl"), *words]
        return subprocess.run(command, check=True, capture_output=True, text=True, cwd=tmp_path).stdout

    assert "grpo" in r1_trl("--help")
    assert "miniature_cpu" in r1_trl("recipes")
    r1_trl("recipes", "copy", "miniature_cpu", "mine")
    flags = ["--num_questions", "2", "--num_generations", "2", "--output_dir", "evaluation"]
    assert "pass@1" in r1_trl("evaluate", "--config", "mine/evaluate.yaml", *flags)
    imported = [str(python), "-c", "import r1_trl; print(r1_trl.__file__)"]
    where = subprocess.run(imported, check=True, capture_output=True, text=True, cwd=tmp_path)
    assert str(site) in where.stdout
