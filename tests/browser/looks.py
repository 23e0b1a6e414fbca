"""What must hold for the looks of every widget, in each theme and at each width."""

from typing import Any

from axe_playwright_python.sync_playwright import Axe
from lab_in_browser import set_theme

SMALLEST = 10.5  # pixels of a letter in a drawing

# Scrollbars, names that are cut, and letters that nobody can read. What is as wide as the page may scroll: a program.
FAULTS = """smallest => {
    const root = document.querySelector('.tlkit');
    const found = [];
    for (const element of [root, ...root.querySelectorAll('*')]) {
        const style = getComputedStyle(element);
        const wide = element.clientWidth && element.scrollWidth > element.clientWidth;
        if (wide && ['auto', 'scroll'].includes(style.overflowX) && element.tagName !== 'PRE')
            found.push(`a scrollbar in ${element.tagName}.${element.className}`);
        if (wide && style.textOverflow === 'ellipsis') found.push(`cut: ${element.textContent}`);
        if (element.tagName === 'text') {
            const drawn = element.getScreenCTM();
            const size = parseFloat(style.fontSize) * Math.hypot(drawn.a, drawn.b);
            if (size < smallest) found.push(`${size.toFixed(1)} pixels: ${element.textContent}`);
            const [text, drawing] = [element, element.ownerSVGElement].map(part => part.getBoundingClientRect());
            if (text.right > drawing.right + 1 || text.left < drawing.left - 1)
                found.push(`beyond its drawing: ${element.textContent}`);
        }
    }
    const page = document.querySelector('.jp-Notebook').getBoundingClientRect();
    for (const control of root.querySelectorAll('select, button, input, .widget-readout'))
        if (control.getBoundingClientRect().right > page.right) found.push(`beyond the edge: ${control.className}`);
    return found;
}"""


def violations(page: Any, rules: tuple[str, ...] = ()) -> list[str]:
    """What axe-core calls serious or critical in the widget, by all rules or by those with one of these tags."""
    options = {"resultTypes": ["violations"]} | ({"runOnly": list(rules)} if rules else {})
    found = Axe().run(page, context=".tlkit", options=options).response["violations"]
    return [
        f"{each['id']}: {each['nodes'][0]['html'][:200]}" for each in found if each["impact"] in ("serious", "critical")
    ]


def look_at(page: Any, name: str, themes: tuple[str, ...] = ("Dark", "Light"), height: int = 1100) -> None:
    """Assert it in the themes, at 800 and at 1280 pixels, in this order; a screenshot of each stays."""
    rules: tuple[str, ...] = ()
    for theme in themes:
        set_theme(page, f"JupyterLab {theme}")
        page.wait_for_selector("#jupyterlab-splash", state="detached")
        wrong = violations(page, rules)
        assert not wrong, f"{theme}: {wrong}"
        rules = ("cat.color",)  # names and roles are the same in another theme
        for width in (800, 1280):
            page.set_viewport_size({"width": width, "height": height})
            page.evaluate("() => new Promise(drawn => requestAnimationFrame(() => requestAnimationFrame(drawn)))")
            page.screenshot(path=page.shots / f"{name}_{theme}_{width}.png")
            wrong = page.evaluate(FAULTS, SMALLEST)
            assert not wrong, f"{theme}, {width}: {wrong}"
