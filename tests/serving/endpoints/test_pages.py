"""The page in a real browser, as a person uses it: by mouse, by keyboard, on a phone, in the dark."""

import json
import shutil
import time

import numpy as np
import pytest

pytest.importorskip("starlette", reason="needs fastrec[serve]")
webdriver = pytest.importorskip("selenium.webdriver", reason="needs selenium")

# ruff: noqa: E402
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from fastrec.data import Interactions
from fastrec.models import ImplicitALS, ItemKNN, SequenceRules
from tests.serving.running import InThread, some_data

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")
pytestmark = pytest.mark.skipif(not (BROWSER and DRIVER), reason="needs Chromium and chromedriver")

FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1280,900",
]


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("page")
    ImplicitALS(factors=4, iterations=4, random_state=0, n_jobs=1).fit(some_data(int)).save(folder / "model.fastrec")
    with InThread(folder / "model.fastrec", "--journal", folder / "events.db") as server:
        yield server


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    options = webdriver.ChromeOptions()
    options.binary_location = BROWSER
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('browser')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    browser = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    yield browser
    browser.quit()


@pytest.fixture
def page(browser, server):
    browser.get(f"http://127.0.0.1:{server.port}/?user=7")
    page = Page(browser)
    page.wait(lambda: len(page.titles()) == 10)
    return page


class Page:
    """The page as a person sees it."""

    def __init__(self, browser):
        self.browser = browser

    def all(self, selector):
        return self.browser.find_elements(By.CSS_SELECTOR, selector)

    def one(self, selector):
        return self.browser.find_element(By.CSS_SELECTOR, selector)

    def titles(self, selector="#list .title"):
        script = "return [...document.querySelectorAll(arguments[0])].map(e => e.firstChild.data)"
        return self.browser.execute_script(script, selector)

    def wait(self, true, seconds=20):
        end = time.monotonic() + seconds
        while not true():
            assert time.monotonic() < end, self.one("body").text
            time.sleep(0.03)


def test_recommendations_follow_what_is_taken(page):
    first = page.titles()
    page.wait(lambda: page.all("#list .why b"))
    page.one("#list .act.main").click()
    page.wait(lambda: first[0] not in page.titles() and "just now" in page.one("#history").text)
    assert page.titles("#history .name")[0] == first[0]
    assert page.one("#list .moved")
    assert "in the server" in page.one("#pace").text
    assert "&" in first[0], "titles are text, not HTML"
    assert "<b>" in first[0]


def test_a_history_is_built_by_the_keyboard_alone(page):
    tab = page.one("#tab-user")
    tab.send_keys(Keys.ARROW_RIGHT)
    page.wait(lambda: page.one("#fallback").is_displayed())
    page.one("body").send_keys("/")
    field = page.browser.switch_to.active_element
    assert field.get_attribute("id") == "item"
    field.send_keys("number 3")
    page.wait(
        lambda: page.titles("#item-list li span") and page.titles("#item-list li span")[0].startswith("Film number 3")
    )
    chosen = page.titles("#item-list li span")[1]
    field.send_keys(Keys.ARROW_DOWN, Keys.ARROW_DOWN)
    assert field.get_attribute("aria-activedescendant") == "item-list-1"
    field.send_keys(Keys.ENTER)
    page.wait(lambda: page.titles("#history .name") == [chosen] and not page.one("#fallback").is_displayed())
    page.one("#history .drop").send_keys(Keys.ENTER)
    page.wait(lambda: page.one("#fallback").is_displayed())


def test_similar_items_in_a_dialog_that_escape_closes(page):
    name = page.titles()[1]
    page.all("#list .act:not(.main)")[1].click()
    page.wait(lambda: page.all("#similar-list li"))
    assert page.one("#similar-title").text == name
    assert name not in page.titles("#similar-list .title")
    page.one("#similar").send_keys(Keys.ESCAPE)
    page.wait(lambda: not page.one("#similar").is_displayed())


def test_another_user_by_typing_an_id(page):
    field = page.one("#user")
    field.send_keys(Keys.CONTROL, "a")
    field.send_keys("11", Keys.ENTER)
    page.wait(lambda: page.one("#history-title").text == "History of 11")
    assert page.browser.current_url.endswith("?user=11")
    field.send_keys(Keys.CONTROL, "a")
    field.send_keys("eleven", Keys.ENTER)
    page.wait(lambda: "integers" in page.one("#notice").text)


def test_it_fits_a_phone_with_fields_that_a_thumb_can_hit(page):
    phone = {"width": 390, "height": 844, "deviceScaleFactor": 2, "mobile": True}
    page.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", phone)
    try:
        page.browser.refresh()
        page.wait(lambda: len(page.titles()) == 10)
        assert page.browser.execute_script("return document.documentElement.scrollWidth") <= 390
        assert not page.one("#spark").is_displayed(), "one answer makes no curve"
        heights = [
            element.size["height"]
            for element in page.all("#list .act, input:not([type=password])")
            if element.is_displayed()
        ]
        assert min(heights) >= 44
    finally:
        page.browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_light_and_dark(page):
    colours = set()
    for scheme in ("light", "dark"):
        feature = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
        page.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", feature)
        colours.add(page.one("body").value_of_css_property("background-color"))
    assert len(colours) == 2
    page.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def test_nothing_comes_from_outside_and_nothing_is_wrong(browser, server, page):
    browser.get(f"http://127.0.0.1:{server.port}/docs")
    page.wait(lambda: len(page.all("article")) >= 10)
    assert "contribution" in page.one("main").text, "what an answer is made of is said too"
    assert '"user":42' in page.one("main").text
    asked = [
        json.loads(row["message"])["message"]["params"]["request"]["url"]
        for row in browser.get_log("performance")
        if json.loads(row["message"])["message"]["method"] == "Network.requestWillBeSent"
    ]
    assert asked
    own = (f"http://127.0.0.1:{server.port}/", "data:", "chrome:", "chrome-untrusted:")
    assert [url for url in asked if not url.startswith(own)] == []
    assert [row for row in browser.get_log("browser") if row["level"] == "SEVERE"] == []


# -- what the browser's log keeps, and other servers: after the look at where the page has been


def test_a_hidden_item_vanishes_and_conditions_choose(page, server):
    first = page.titles()[0]
    code = int(first.split()[2])
    server.ask("PUT", f"/items/{1000 + code}", {"hidden": True})
    page.browser.refresh()
    page.wait(lambda: len(page.titles()) == 10)
    assert first not in page.titles()
    page.one("#item").send_keys(f"number {code} ")
    page.wait(lambda: page.all("#item-list li"))
    assert first not in page.titles("#item-list li span")
    page.one("#item").send_keys(Keys.ESCAPE)
    server.ask("PUT", f"/items/{1000 + code}", {"hidden": False, "facts": {"price": 5}})
    page.browser.refresh()
    page.wait(lambda: first in page.titles() and "price" in page.one("#where-hint").text)
    page.one("#where").send_keys('{"price": {"<": 9}}', Keys.ENTER)
    page.wait(lambda: page.titles() == [first])
    page.one("#where").send_keys("x", Keys.ENTER)
    page.wait(lambda: "A condition is JSON" in page.one("#notice").text)
    page.one("#where").send_keys(Keys.CONTROL, "a")
    page.one("#where").send_keys('{"colour": "red"}', Keys.ENTER)
    page.wait(lambda: "a fact that no item has" in page.one("#notice").text)


def test_ids_that_a_browsers_number_cannot_hold_stay_exact(browser, tmp_path):
    data = some_data(lambda n: 2**60 + n)
    model = ImplicitALS(factors=4, iterations=4, random_state=0, n_jobs=1).fit(data)
    model.save(tmp_path / "model.fastrec")
    with InThread(tmp_path / "model.fastrec", "--journal", tmp_path / "events.db") as server:
        browser.get(f"http://127.0.0.1:{server.port}/?user={2**60 + 7}")
        page = Page(browser)
        page.wait(lambda: len(page.titles()) == 10)
        top = model.recommend(2**60 + 7).titles()[0].tolist()
        assert page.titles() == top
        assert page.one("#history-title").text == f"History of {2**60 + 7}"
        page.one("#list .act.main").click()
        page.wait(lambda: "just now" in page.one("#history").text)
        _, answer, _ = server.get(f"/users/{2**60 + 7}")
        assert top[0] in [row["title"] for row in answer["items"]]


def test_routes_that_need_a_token_say_so_and_each_scope_shows_its_use(browser, tmp_path):
    model = ImplicitALS(factors=4, iterations=4, random_state=0, n_jobs=1).fit(some_data(int))
    model.save(tmp_path / "model.fastrec")
    (tmp_path / "tokens").write_text("read token-of-readers\nadmin token-of-all\n")
    arguments = "--token-file", tmp_path / "tokens", "--journal", tmp_path / "events.db"
    with InThread(tmp_path / "model.fastrec", *arguments) as server:
        browser.get(f"http://127.0.0.1:{server.port}/?user=7")
        page = Page(browser)
        page.wait(lambda: "scope read" in page.one("#list-empty").text)
        assert "scope read" in page.one("#history-empty").text
        assert page.titles() == []
        assert not page.one("#notice").is_displayed()
        assert page.one("#token").is_displayed(), "the page asks for it"
        page.one("#token").send_keys("wrong", Keys.TAB)
        page.wait(lambda: "does not know this token" in page.one("#notice").text)
        page.one("#token").clear()
        page.one("#token").send_keys("token-of-readers", Keys.TAB)
        page.wait(lambda: page.titles("#history .name") and page.all("#list .why b"))
        assert not page.one("#notice").is_displayed()
        assert not page.all("#list .act.main"), "a reader tells nothing"
        assert not page.one("#item").is_enabled()
        browser.refresh()
        page.wait(lambda: page.titles("#history .name"))
        assert browser.execute_script("return [sessionStorage.token, localStorage.token]") == ["token-of-readers", None]
        page.one("#token-box summary").click()
        page.one("#token").clear()
        page.one("#token").send_keys("token-of-all", Keys.TAB)
        page.wait(lambda: page.all("#list .act.main"))
        page.one("#list .act.main").click()
        page.wait(lambda: "just now" in page.one("#history").text)
        browser.execute_script("sessionStorage.clear()")


def test_a_history_is_an_order_to_a_model_that_reads_one(browser, tmp_path):
    data = some_data(int)
    times = np.random.default_rng(0).permutation(data.n_interactions)
    model = SequenceRules().fit(data._replace(times=times))
    model.save(tmp_path / "model.fastrec")
    with InThread(tmp_path / "model.fastrec", "--journal", tmp_path / "events.db") as server:
        browser.get(f"http://127.0.0.1:{server.port}/?user=7")
        page = Page(browser)
        page.wait(lambda: len(page.titles()) == 10 and page.titles("#history .name"))
        row, order = (slice(*model.seen_.indptr[7:9]) for _ in range(2))
        newest = model.seen_.indices[row][np.argmax(model.order_[order])]
        assert page.titles("#history .name")[0] == model.item_info_["title"][newest]
        assert page.one("#history-ends").text == "The newest on top"
        assert not page.all("#history .move"), "what a user did is not changed"
        page.one("#tab-history").click()
        page.wait(lambda: page.one("#fallback").is_displayed())

        def listed(codes):
            return model.recommend(model.histories([[1000 + code for code in codes]])).titles()[0].tolist()

        for code in (3, 8, 21):
            page.one("#item").send_keys(f"number {code} ")
            page.wait(lambda code=code: page.titles("#item-list li span")[:1] == [f"Film number {code} & <b>more</b>"])
            page.one("#item").send_keys(Keys.ENTER)
            page.wait(lambda code=code: page.titles("#history .name")[:1] == [f"Film number {code} & <b>more</b>"])
        page.wait(lambda: page.titles() == listed([3, 8, 21]))
        page.all("#history .move.up")[2].click()
        page.wait(lambda: page.titles() == listed([8, 3, 21]))
        assert browser.switch_to.active_element.get_attribute("aria-label") == "Newer: Film number 3 & <b>more</b>"
        browser.switch_to.active_element.send_keys(Keys.ENTER)
        page.wait(lambda: page.titles() == listed([8, 21, 3]))
        assert page.titles("#history .name")[0].startswith("Film number 3 ")
        assert browser.switch_to.active_element.get_attribute("aria-label").startswith("Older: Film number 3 ")
        page.all("#history .drop")[1].click()
        page.wait(lambda: page.titles() == listed([8, 3]))


def test_ids_and_titles_are_text_and_never_markup(browser, tmp_path):
    evil = "<img src=x onerror=document.title='pwned'>"
    data = Interactions(
        [0, 0, 1, 1, 2, 2], [0, 1, 1, 2, 0, 2], users=[f"u{evil}{n}" for n in range(3)],
        items=[f"i{evil}{n}" for n in range(3)], item_info={"title": [f"t{evil}{n}" for n in range(3)]},
    )  # fmt: skip
    ItemKNN(2, n_jobs=1).fit(data).save(tmp_path / "model.fastrec")
    with InThread(tmp_path / "model.fastrec", "--journal", tmp_path / "events.db") as server:
        browser.get(f"http://127.0.0.1:{server.port}/")
        page = Page(browser)
        page.wait(lambda: page.titles() and page.titles("#history .name"))
        page.all("#list .act:not(.main)")[0].click()
        page.wait(lambda: page.one("#similar").is_displayed())
        page.one("#similar").send_keys(Keys.ESCAPE)
        page.one("#user").send_keys(Keys.CONTROL, "a")
        page.one("#user").send_keys(evil, Keys.ENTER)
        page.one("#item").send_keys("t")
        page.wait(lambda: page.all("#item-list li"))
        assert evil in page.titles("#item-list li span")[0]
        assert evil in page.one("#history-title").text
        assert page.all("[onerror]") == []
        assert browser.title != "pwned"
