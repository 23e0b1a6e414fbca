"""The bundled files are those that were shipped, small enough, and any change is noticed before they are used."""

import json
import shutil
from pathlib import Path

import pytest
from helpers import raises_one_line

from tlkit import assets
from tlkit.assets import AssetError, asset_names, asset_path, asset_status

FOLDER = Path(assets.__file__).parent
MB = 1e6

WANTED = {
    "printed.npz",
    "mnist.npz",
    "optdigits.npz",
    "fashion.npz",
    "resnet_printed.weights.h5",
    "resnet_printed_head.weights.h5",
    "resnet_printed_ssl.weights.h5",
    "voices.npz",
    "tones.npz",
    "emoji.npz",
    "emoji_licenses.txt",
    "resnet_voices.weights.h5",
    "resnet_voices_head.weights.h5",
    "efficientnet_lite0.keras",
    "imagenet_classes.txt",
}


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A folder with two small assets and their manifest."""
    names = ["optdigits.npz", "mnist.npz"]
    manifest = json.loads((FOLDER / "manifest.json").read_text(encoding="utf-8"))
    for name in names:
        shutil.copyfile(FOLDER / name, tmp_path / name)
    (tmp_path / "manifest.json").write_text(json.dumps({name: manifest[name] for name in names}), encoding="utf-8")
    return tmp_path


def test_everything_shipped_is_listed_and_whole() -> None:
    on_disk = {path.name for suffix in ("*.npz", "*.h5", "*.keras", "*.txt") for path in FOLDER.glob(suffix)}
    assert set(asset_names()) == on_disk
    assert on_disk >= WANTED
    assert asset_status() == dict.fromkeys(asset_names(), "whole")


def test_manifest_knows_the_sizes() -> None:
    manifest = json.loads((FOLDER / "manifest.json").read_text(encoding="utf-8"))
    assert {name: entry["bytes"] for name, entry in manifest.items()} == {
        name: (FOLDER / name).stat().st_size for name in asset_names()
    }


def test_sizes_stay_within_the_limits_of_issue_2() -> None:
    sizes = {name: (FOLDER / name).stat().st_size for name in asset_names()}
    assert sum(size for name, size in sizes.items() if name.endswith(".npz")) <= 15 * MB
    assert sizes["emoji.npz"] <= 2.5 * MB
    with_labels = [name for name in sizes if name.startswith("resnet_printed") and "_ssl" not in name]
    assert sum(sizes[name] for name in with_labels) <= 6 * MB
    assert sizes["resnet_printed_ssl.weights.h5"] <= 6 * MB
    assert sum(size for name, size in sizes.items() if "voices" in name) <= 1.8 * MB


def test_provenance_speaks_of_each_file() -> None:
    text = (FOLDER / "PROVENANCE.md").read_text(encoding="utf-8").lower()
    assert [name for name in asset_names() if name.split(".")[0] not in text] == []
    for word in ("licence", "sha-256"):
        assert word in text


def test_path_of_a_whole_file() -> None:
    assert asset_path("mnist.npz") == FOLDER / "mnist.npz"


def test_altered_file_is_refused(copy: Path) -> None:
    assert asset_status(copy) == {"optdigits.npz": "whole", "mnist.npz": "whole"}
    content = bytearray((copy / "mnist.npz").read_bytes())
    content[len(content) // 2] ^= 1  # one bit
    (copy / "mnist.npz").write_bytes(content)
    assert asset_status(copy) == {"optdigits.npz": "whole", "mnist.npz": "altered"}
    with raises_one_line(AssetError, "mnist.npz", "SHA-256", "reinstall tlkit"):
        asset_path("mnist.npz", copy)
    assert asset_path("optdigits.npz", copy) == copy / "optdigits.npz"


def test_truncated_file_is_refused(copy: Path) -> None:
    (copy / "mnist.npz").write_bytes((copy / "mnist.npz").read_bytes()[:-1])
    assert asset_status(copy)["mnist.npz"] == "altered"


def test_missing_file_is_refused_and_found_again(copy: Path) -> None:
    (copy / "mnist.npz").rename(copy / "elsewhere")
    assert asset_status(copy)["mnist.npz"] == "missing"
    with raises_one_line(AssetError, "mnist.npz", "missing", "reinstall tlkit"):
        asset_path("mnist.npz", copy)
    (copy / "elsewhere").rename(copy / "mnist.npz")
    assert asset_path("mnist.npz", copy).is_file()  # the failure was not remembered


@pytest.mark.parametrize("name", ["printed", "optdigits"])
def test_loading_a_domain_checks_the_hash(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    from tlkit import domains

    asked = []
    monkeypatch.setattr(domains, "asset_path", lambda file: asked.append(file) or asset_path(file))
    domains.load_domain.__wrapped__(name)
    assert asked == {"printed": ["printed.npz", "printed_fonts.txt"]}.get(name, [f"{name}.npz"])


def test_loading_an_altered_domain_or_backbone_fails(monkeypatch: pytest.MonkeyPatch, copy: Path) -> None:
    from tlkit import domains
    from tlkit.backbones import loading

    manifest = {name: {"sha256": "0" * 64} for name in ("mnist.npz", "resnet_printed.weights.h5")}
    (copy / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    (copy / "resnet_printed.weights.h5").write_bytes(b"no weights")
    for module in (domains, loading):
        monkeypatch.setattr(module, "asset_path", lambda name: asset_path(name, copy))
    with raises_one_line(AssetError, "mnist.npz"):
        domains.load_domain.__wrapped__("mnist")
    with raises_one_line(AssetError, "resnet_printed.weights.h5"):
        loading.load_backbone("resnet_printed")
