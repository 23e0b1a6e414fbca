"""PictureUpload in a real JupyterLab: choosing, dropping, a zip larger than a message, limits, and then a domain."""

import base64
import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lab_in_browser import ask_kernel, run_all, set_cells, set_theme
from PIL import Image
from playwright.sync_api import expect

from browser.looks import look_at

CELL = """from tlkit.widgets import PictureUpload
upload = PictureUpload("my_pictures", max_mb=20)
upload"""
LOAD = """domain = upload.load(image_size=32) if upload.contents.n_pictures else None
domain and (domain.classes, len(domain.train.y) + len(domain.test.y))"""

HOSTILE = "<img src=x onerror=document.title='hacked'>.png"
DROP = """([zone, files]) => {
    const transfer = new DataTransfer();
    for (const [name, data] of files) {
        const bytes = Uint8Array.from(atob(data), letter => letter.charCodeAt(0));
        transfer.items.add(new File([bytes], name, {type: 'image/png'}));
    }
    for (const kind of ['dragenter', 'dragover', 'drop'])
        zone.dispatchEvent(new DragEvent(kind, {dataTransfer: transfer, bubbles: true, cancelable: true}));
}"""
# How large the messages are that go to the kernel, and how many: counted below the widget, in the page's own socket.
COUNT = """() => {
    window.sent = [];
    const send = WebSocket.prototype.send;
    WebSocket.prototype.send = function (data) {
        window.sent.push(data.byteLength ?? data.size ?? data.length);
        return send.call(this, data);
    };
}"""


def picture(seed: int, *, size: int = 64, kind: str = "PNG") -> bytes:
    noise = np.random.default_rng(seed).integers(0, 256, size=(size, size, 3), dtype=np.uint8)
    out = io.BytesIO()
    Image.fromarray(noise).save(out, kind)
    return out.getvalue()


@pytest.fixture
def given(tmp_path: Path) -> Path:
    """Pictures and zips on the learner's own disk."""
    folder = tmp_path / "given"
    folder.mkdir()
    for i in range(3):
        (folder / f"cat{i}.png").write_bytes(picture(i))
    (folder / "readme.txt").write_text("what these pictures are")
    (folder / "broken.png").write_bytes(picture(9)[:-30])
    with zipfile.ZipFile(folder / "large.zip", "w") as archive:
        for i in range(13):
            archive.writestr(f"all/dogs/{i}.bmp", picture(20 + i, size=600, kind="BMP"))  # 1.08 MB each
    with (folder / "too_large.zip").open("wb") as file:
        file.truncate(25 * 10**6)
    return folder


def test_pictures_and_a_zip_larger_than_a_message(shared_page: Any, given: Path) -> None:
    page = shared_page
    # Chromium hands its dialogs over only once someone listens, and Playwright does not wait until it does: armed only
    # at the press, one press in eight came too early on a busy machine, and its dialog opened unseen.
    page.on("filechooser", lambda _: None)
    set_cells(page, [CELL, LOAD])
    page.evaluate(COUNT)
    run_all(page)
    zone, said = page.locator(".tlkit-drop"), page.locator(".tlkit-said")
    files, label = page.locator("input.tlkit-files"), page.get_by_label("class of single pictures")
    expect(said).to_have_text("No pictures yet.")
    set_theme(page, "JupyterLab Light")
    page.screenshot(path=page.shots / "upload_empty.png")

    # What breaks a limit, or has no class, is refused before a byte is sent.
    sent = page.evaluate("window.sent.length")
    files.set_input_files(given / "too_large.zip")
    expect(said).to_have_text("There is room for 20 MB, these take 25 MB. Nothing was sent.")
    files.set_input_files(given / "cat0.png")
    expect(said).to_contain_text("Say first what the pictures show")
    expect(label).to_be_focused()
    assert page.evaluate("window.sent.length") == sent

    # Chosen by keyboard: the button opens the browser's own dialog.
    label.fill("cats")
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Choose files")).to_be_focused()
    with page.expect_file_chooser() as chooser:
        page.keyboard.press("Enter")
    chooser.value.set_files([given / name for name in ("readme.txt", "cat0.png", "cat1.png", "broken.png")])
    expect(said).to_contain_text("2 pictures added; 2 files left out: broken.png (")
    expect(said).to_contain_text("readme.txt (not a picture (.txt)).")
    files.set_input_files(given / "readme.txt")
    expect(said).to_have_text("readme.txt is neither a zip nor a PNG, JPEG, BMP, GIF or WebP. Nothing was sent.")

    # Dropped.
    data = base64.b64encode((given / "cat2.png").read_bytes()).decode()
    page.evaluate(DROP, [zone.element_handle(), [("cat2.png", data), (HOSTILE, data)]])
    expect(said).to_contain_text(f"1 picture added; 1 file left out: {HOSTILE} (a name that Windows cannot have)")

    # A zip above the 10 MiB that a Jupyter server takes in a message.
    assert (given / "large.zip").stat().st_size > 12 * 2**20
    files.set_input_files(given / "large.zip")
    expect(said).to_have_text("13 pictures added.")
    assert max(page.evaluate("window.sent")) < 2 * 2**20
    report = page.locator(".tlkit-upload-report")
    expect(report).to_contain_text("2 classes, 16 pictures")

    # Names are text, both themes can be read, and it fits into a narrow window.
    assert page.locator(".tlkit img").count() == 0
    assert page.title() != "hacked"
    look_at(page, "upload")

    # The next cell has the domain; the widget, run again, goes on with what is there.
    run_all(page)
    expect(said).to_contain_text("in the folder already")
    expect(page.locator(".jp-OutputArea-output pre").last).to_have_text("(('cats', 'dogs'), 16)")
    folder = Path(ask_kernel(page, "str(upload.folder)").strip("'"))
    assert sorted(path.name for path in folder.iterdir()) == ["cats", "dogs"]
    assert (folder / "cats" / "cat2.png").read_bytes() == picture(2)
