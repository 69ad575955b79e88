"""The page of a server, in a browser as people have it."""

import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import yaml
from baked import Project
from playwright.sync_api import Browser, Page, expect, sync_playwright
from served import resign, serving

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
# Without what a browser would ask of its maker.
QUIET = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)
HOSTILE = '<img src=x onerror="window.hacked=1"><script>window.hacked=1</script>{{7*7}}\'"'
KEY = "correct horse battery"
# Every text and its contrast with what is behind it, as WCAG 2 computes it.
CONTRASTS = """() => {
  const parse = (color) => {
    const [r, g, b, a = 1] = color.match(/[\\d.]+/g).map(Number);
    return {rgb: [r, g, b], a};
  };
  const luminance = (rgb) => {
    const [r, g, b] = rgb.map((c) => c / 255).map(
      (c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const {rgb, a} = parse(getComputedStyle(at).backgroundColor);
      if (a === 1) return rgb;
    }
    return [255, 255, 255];
  };
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || !element.checkVisibility()) continue;
    const [one, two] = [
      luminance(parse(getComputedStyle(element).color).rgb), luminance(behind(element))];
    found.push([(Math.max(one, two) + 0.05) / (Math.min(one, two) + 0.05),
      walker.currentNode.data.trim().slice(0, 40)]);
  }
  return found;
}"""

Open = Callable[..., Page]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A Chromium of this machine."""
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None and "CI" not in os.environ:
        pytest.skip("no Chromium on this machine: install one to test the page")
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=found, args=list(QUIET))
        yield launched
        launched.close()


@pytest.fixture(scope="module")
def address(finished: Project) -> Iterator[str]:
    """Where a server of the candidate answers."""
    with serving(finished, finished.path / "candidate") as found:
        yield found


@pytest.fixture
def opened(browser: Browser) -> Iterator[Open]:
    """Open pages; whatever the browser complains about fails the test."""
    complaints: list[str] = []
    with ExitStack() as stack:

        def open_page(url: str, width: int = 1280, scheme: Any = "light") -> Page:
            size = {"width": width, "height": 900}
            context = browser.new_context(viewport=size, color_scheme=scheme)  # type: ignore[arg-type]
            stack.callback(context.close)
            page = context.new_page()
            page.set_default_timeout(20_000)
            page.on("pageerror", lambda error: complaints.append(str(error)))
            page.on("console", lambda said: complaints.append(said.text))
            page.goto(url)
            return page

        yield open_page
    refused = "Failed to load resource: the server responded with a status of 4"
    assert [text for text in complaints if not text.startswith(refused)] == []


def field(page: Page, column: str) -> Any:
    return page.get_by_label(column, exact=True)


def ready(page: Page) -> dict[str, Any]:
    """Wait for the form, and return what the page knows of the model."""
    expect(page.locator("#predict")).to_be_visible()
    return dict(page.evaluate("fetch('model').then((response) => response.json())"))


def sent_by(request: Any) -> dict[str, Any]:
    return dict(request.value.post_data_json)


def answered(page: Page) -> None:
    page.locator("#predict").click()
    expect(page.locator(".why tbody tr").first).to_be_visible()


def test_it_says_what_the_model_is(opened: Open, address: str) -> None:
    page = opened(address)
    model = ready(page)
    expect(page.get_by_role("heading", level=1)).to_have_text(model["name"])
    expect(page).to_have_title(model["name"])
    expect(page.locator("#facts")).to_contain_text(model["digest"][:12])
    expect(page.locator("#facts")).to_contain_text(f"{model['trained_on']['rows']:,} rows")
    expect(page.locator("#metrics tbody tr")).to_have_count(len(model["metrics"]))
    expect(page.locator("#metrics")).to_contain_text(f"{model['metrics']['roc_auc']['low']:.3g} to")
    expect(page.locator("#card h4")).not_to_have_count(0)
    expect(page.locator("#card table").first).to_be_visible()


def test_an_example_is_answered_and_explained(opened: Open, address: str) -> None:
    page = opened(address)
    model = ready(page)
    with page.expect_response("**/predict") as response:
        answered(page)
    answer = response.value.json()["predictions"][0]
    expect(page.locator("#answer .said")).to_have_text(answer["prediction"])
    share = f"{100 * answer['probabilities'][model['labels'][1]]:.1f}%"
    expect(page.locator("#answer .what")).to_contain_text(f"probability of {share}")
    expect(page.locator("#answer .share")).to_have_count(2)
    expect(page.locator(".why tbody tr")).to_have_count(8)
    page.get_by_role("button", name="features").click()
    expect(page.locator(".why tbody tr")).to_have_count(len(model["features"]))


def test_each_example_is_sent_as_it_is(opened: Open, address: str) -> None:
    page = opened(address)
    for example in ready(page)["examples"][:6]:
        with page.expect_request("**/predict") as request:
            page.locator("#predict").click()
        sent = sent_by(request)
        assert sent == example
        assert {name: type(sent[name]) for name in sent if type(sent[name]) is not float} == {
            name: type(example[name]) for name in sent if type(sent[name]) is not float
        }
        page.locator("#another").click()


def test_what_may_be_empty_is_sent_as_missing(opened: Open, address: str) -> None:
    page = opened(address)
    columns = [column for column in ready(page)["columns"] if column["nullable"]]
    assert {column["type"] for column in columns} >= {"number", "integer", "category", "datetime"}
    for column in columns:
        place = field(page, column["name"])
        place.select_option("") if column["type"] == "category" else place.fill("")
    with page.expect_request("**/predict") as request:
        answered(page)
    assert {sent_by(request)[column["name"]] for column in columns} == {None}


def test_a_problem_stands_beside_its_field(opened: Open, address: str) -> None:
    page = opened(address)
    ready(page)
    place = field(page, "tenure_months")
    place.fill("")
    page.locator("#predict").click()
    error = page.locator(f"#{place.get_attribute('id')}-error")
    expect(error).to_contain_text("tenure_months")
    expect(place).to_be_focused()
    expect(place).to_have_attribute("aria-invalid", "true")
    assert error.get_attribute("id") in (place.get_attribute("aria-describedby") or "").split()
    expect(page.locator("#answer")).to_contain_text("tenure_months")
    place.fill("3.5")
    page.locator("#predict").click()
    expect(error).to_contain_text("whole number")
    place.fill("3")
    answered(page)
    expect(error).to_be_empty()
    expect(place).not_to_have_attribute("aria-invalid", "true")


def test_it_works_with_the_keyboard_alone(opened: Open, address: str) -> None:
    page = opened(address)
    model = ready(page)
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the form")).to_be_focused()
    page.keyboard.press("Enter")
    reached = []
    for _ in range(len(model["columns"]) * 8):  # a date has parts to stop at
        page.keyboard.press("Tab")
        name, outline = page.evaluate(
            "[document.activeElement.id, getComputedStyle(document.activeElement).outlineStyle]"
        )
        assert outline == "solid", name
        reached.append(name)
        if name == "predict":
            break
    fields = [name for name in dict.fromkeys(reached) if name.startswith("field-")]
    assert fields == [f"field-{position}" for position in range(len(model["columns"]))]
    page.keyboard.press("Enter")
    expect(page.locator("#answer .said")).to_be_visible()
    expect(page.locator("#answer")).to_have_attribute("aria-live", "polite")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 1280])
def test_it_fits_and_can_be_read(opened: Open, address: str, width: int, scheme: str) -> None:
    page = opened(address, width, scheme)
    ready(page)
    answered(page)
    field(page, "tenure_months").fill("")
    page.locator("#predict").click()
    expect(page.locator("#fields .error:not(:empty)")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    contrasts = page.evaluate(CONTRASTS)
    assert len(contrasts) > 50
    assert [found for found in contrasts if found[0] < 4.5] == []


def test_live_figures_follow_and_rest_in_a_hidden_tab(opened: Open, address: str) -> None:
    page = opened(address)
    ready(page)
    rate = page.locator("#figures dd").first
    expect(rate).to_have_text("0 a second")
    page.evaluate(
        """() => setInterval(() => fetch("predict", {method: "POST", body: "[]",
            headers: {"Content-Type": "application/json"}}), 100)"""
    )
    expect(rate).not_to_have_text("0 a second")
    expect(page.locator("#figures dd").last).not_to_have_text("0 since start")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url.rpartition("/")[2]))
    page.evaluate(
        """() => { Object.defineProperty(document, "hidden", {value: true, configurable: true});
            document.dispatchEvent(new Event("visibilitychange")); }"""
    )
    asked.clear()
    while asked.count("predict") < 50:  # five seconds of another clock: two readings and a half
        page.wait_for_event("request")
    assert "metrics" not in asked
    with page.expect_request("**/metrics"):
        page.evaluate(
            """() => { delete document.hidden;
                document.dispatchEvent(new Event("visibilitychange")); }"""
        )


def test_a_key_is_asked_for_and_kept(opened: Open, finished: Project) -> None:
    with serving(finished, finished.path / "candidate", api_key=KEY) as address:
        page = opened(address)
        place = page.get_by_label("API key")
        expect(place).to_be_visible()
        expect(page.locator("#model")).to_be_hidden()
        place.fill("not the key")
        page.keyboard.press("Enter")
        expect(page.locator("#key-hint")).to_contain_text("refuses this key")
        place.fill(KEY)
        page.keyboard.press("Enter")
        expect(page.locator("#predict")).to_be_visible()
        expect(place).to_be_hidden()
        answered(page)
        assert KEY not in page.content()
        page.context.close()


WORDS = '''

@feature("text")
def words(texts):
    """Return how many words a text has."""
    return np.array([np.nan if text is None else len(text.split()) for text in texts])
'''


@pytest.fixture
def reading(candidate: Project) -> Project:
    """A project whose model reads a text."""
    conf, features = candidate.path / "conf", candidate.path / "src/project/features.py"
    contract, asked = (conf / name / "churn.yaml" for name in ("data", "features"))
    declared = yaml.safe_load(contract.read_text())
    declared["columns"]["email"] = {"type": "text", "nullable": True, "owner": "crm"}
    contract.write_text(yaml.safe_dump(declared, sort_keys=False))
    used = yaml.safe_load(asked.read_text())
    used["derived"]["words"] = {"function": "words", "columns": ["email"], "owner": "crm"}
    asked.write_text(yaml.safe_dump(used, sort_keys=False))
    features.write_text(features.read_text() + WORDS)
    candidate.commit("A text")
    candidate.run("dvc", "repro")
    return candidate


def test_a_text_is_written_in_a_box_and_sent_as_it_stands(opened: Open, reading: Project) -> None:
    with serving(reading, reading.path / "candidate") as address:
        page = opened(address)
        (column,) = [one for one in ready(page)["columns"] if one["type"] == "text"]
        place = field(page, column["name"])
        assert place.evaluate("(element) => element.tagName") == "TEXTAREA"
        for text in (f"two\nlines, {HOSTILE}", " blanks ", ""):
            place.fill(text)
            with page.expect_response("**/predict") as response:
                answered(page)
            assert json.loads(response.value.request.post_data or "")["email"] == (text or None)
            answer = response.value.json()["predictions"][0]["prediction"]
            expect(page.locator("#answer .said")).to_have_text(answer)
            assert page.evaluate("window.hacked") is None
        place.focus()
        page.keyboard.type("a\nb")  # a new line, and no prediction
        expect(place).to_have_value("a\nb")
        page.context.close()


def hostile(candidate: Path, out: Path) -> Path:
    """Return a bundle that says HOSTILE wherever a bundle may say what it likes."""
    shutil.copytree(candidate, out)
    contract = json.loads((out / "contract.json").read_text())
    resolved = yaml.safe_load((out / "resolved.yaml").read_text())
    for declared in (contract, resolved["data"]):
        declared["description"] = HOSTILE
        for column in declared["columns"].values():
            column["description"] = HOSTILE
        declared["columns"]["plan"]["categories"][0] = HOSTILE
    for name in ("golden.json", "edges.json"):
        rows = json.loads((out / name).read_text())
        for row in rows:
            row["row"]["plan"] = row["row"]["plan"].replace("basic", HOSTILE)
        (out / name).write_text(json.dumps(rows))
    (out / "contract.json").write_text(json.dumps(contract))
    (out / "resolved.yaml").write_text(yaml.safe_dump(resolved, sort_keys=False))
    said = f"# {HOSTILE}\n\n{HOSTILE}\n\n- `{HOSTILE}` **{HOSTILE}**\n\n"
    table = f"| {HOSTILE} |\n|---|\n| {HOSTILE} |\n\n[link](javascript:window.hacked=1)\n"
    (out / "card.md").write_text(said + table)
    resign(out)
    return out


def test_what_a_bundle_says_stays_text(opened: Open, finished: Project, tmp_path: Path) -> None:
    bundle = hostile(finished.path / "candidate", tmp_path / "hostile")
    with serving(finished, bundle) as address:
        page = opened(address)
        ready(page)
        field(page, "plan").select_option(HOSTILE)
        answered(page)
        page.get_by_role("button", name="features").click()
        expect(page.locator("#summary")).to_have_text(HOSTILE)
        expect(page.locator("#card td")).to_have_text(HOSTILE)
        expect(page.locator(".why")).to_contain_text(HOSTILE)
        assert page.locator("img, script:not([src]), a[href^=javascript]").count() == 0
        assert page.evaluate("window.hacked") is None
        page.context.close()


def test_the_set_that_a_contract_promises_is_shown(
    opened: Open, finished: Project, tmp_path: Path
) -> None:
    bundle = shutil.copytree(finished.path / "candidate", tmp_path / "bundle")
    contract = json.loads((bundle / "contract.json").read_text()) | {"intervals": {"coverage": 0.8}}
    (bundle / "contract.json").write_text(json.dumps(contract))
    resolved = yaml.safe_load((bundle / "resolved.yaml").read_text())
    resolved["data"]["intervals"] = {"coverage": 0.8}
    (bundle / "resolved.yaml").write_text(yaml.safe_dump(resolved, sort_keys=False))
    # So wide that every set has both labels.
    (bundle / "intervals.json").write_text('{"coverage": 0.8, "rows": 99, "width": 1.0}')
    resign(bundle)
    with serving(finished, bundle) as found:
        page = opened(found)
        ready(page)
        answered(page)
        expect(page.locator("#answer")).to_contain_text(
            "false or true, which holds 80.0% of the truth"
        )


def test_terms_are_said_to_be_exact(opened: Open, address: str) -> None:
    page = opened(address)
    ready(page)

    def by_terms(route: Any) -> None:
        reply = route.fetch()
        content = reply.json() | {"method": "terms", "background": 0, "permutations": 0}
        pair = {"feature": "plan & region", "value": ["basic", None], "error": 0}
        (one,) = content["explanations"]
        one["contributions"] = [{**pair, "contribution": 1.5}] * 9
        one["base"] = 0.0
        route.fulfill(response=reply, json=content)

    page.route("**/explain", by_terms)
    answered(page)
    why = page.locator("#why")
    expect(why).to_contain_text("from 50.0%, what the model starts from, to")
    expect(why).to_contain_text("exactly as the model adds them up")
    expect(why).not_to_contain_text("example rows")
    expect(page.locator(".why tbody tr").first).to_contain_text("basic & missing")
    page.get_by_role("button", name="All 9 terms").click()


def test_no_markup_can_be_made_from_text(browser: Browser, address: str) -> None:
    page = browser.new_page()
    page.goto(address)
    ready(page)
    said = page.evaluate(
        "try { document.body.innerHTML = '<b>x</b>'; 'made' } catch (error) { error.name }"
    )
    page.close()
    assert said == "TypeError"


def test_the_interface_needs_no_network_and_works_behind_a_prefix(
    opened: Open, finished: Project
) -> None:
    candidate = finished.path / "candidate"
    with serving(finished, candidate, root_path="/models/churn", api_key=KEY) as address:
        page = opened("about:blank")
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.goto(f"{address}/models/churn/docs")
        page.get_by_label("API key").fill(KEY)
        page.get_by_role("button", name="Use this key").click()
        route = page.locator("#operations > details").first
        expect(route.locator("> summary")).to_contain_text("POST /predict")
        route.locator("> summary").click()
        route.get_by_role("button", name="Send").click()
        expect(route.locator("[aria-live]")).to_contain_text('"probabilities"')
        route.get_by_label("Body").fill("[]")
        route.get_by_role("button", name="Send").click()
        expect(route.locator("[aria-live]")).to_contain_text("no-rows")
        low = [found for found in page.evaluate(CONTRASTS) if found[0] < 4.5]
        assert low == []
    assert asked
    assert all(url.startswith(f"{address}/models/churn/") for url in asked)
