"""What is deployed: every function's files by the rules `sam build` uses, as archives."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import zipfile
from pathlib import Path

from infra.local import templates
from infra.local.emulator import ROOT
from infra.local.endpoint import LocalError

# Archives of the same files must be the same bytes, or every deployment would change all code.
_EPOCH = (1980, 1, 1, 0, 0, 0)


BUILT_BY_SAM = ROOT / ".aws-sam" / "build" / "template.yaml"


def build(target: Path, *, root: Path = ROOT) -> Path:
    """Build `root`'s templates into `target`, without SAM in a fraction of a second.

    Returns the root template's path, whose functions, layers and children lie beside it as
    relative paths, as in `.aws-sam/build`. The layer stays empty: an emulator's functions run
    in the project's own environment, and a layer of Linux libraries would break them on a Mac.
    """
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    return _build_template(root / "template.yaml", target)


def archive(folder: Path) -> bytes:
    """The zip of `folder`, the same bytes for the same content."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as zipped:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                entry = zipfile.ZipInfo(path.relative_to(folder).as_posix(), _EPOCH)
                entry.external_attr = 0o755 << 16
                zipped.writestr(entry, path.read_bytes(), zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def _build_template(source: Path, target: Path) -> Path:
    template = templates.load(source)
    for name, properties in templates.resources(template, templates.FUNCTION):
        code = template.get("Globals", {}).get("Function", {}) | properties
        _make(source.parent / code["CodeUri"], name, target / name)
        properties["CodeUri"] = name
    for name, properties in templates.resources(template, templates.LAYER):
        (target / name / "python").mkdir(parents=True)
        (target / name / "python" / "EMPTY").touch()
        properties["ContentUri"] = name
    for name, properties in templates.resources(template, templates.NESTED):
        (target / name).mkdir()
        child = _build_template(source.parent / properties["Location"], target / name)
        properties["Location"] = str(child.relative_to(target))
    return templates.save(template, target / "template.yaml")


def _make(folder: Path, name: str, target: Path) -> None:
    target.mkdir()
    made = subprocess.run(
        ["make", "--silent", f"build-{name}"],
        cwd=folder,
        # Make's own variables would hand the outer make's flags down.
        env={k: v for k, v in os.environ.items() if not k.startswith("MAKE")}
        | {"ARTIFACTS_DIR": str(target)},
        capture_output=True,
        text=True,
        check=False,
    )
    if made.returncode:
        raise LocalError(f"{name} does not build:\n{made.stderr.strip()}")
