"""A lesson in a real JupyterLab in a real browser: opened, run, looked at, saved."""

import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest

from helpers.base.paths import ROOT

LESSON = "00_start_here.ipynb"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
TOKEN = "course"
SETTINGS = {
    # All cells are in the page, and nothing asks a question.
    "notebook-extension/tracker": '{"windowingMode": "none"}',
    "apputils-extension/notification": '{"fetchNews": "false", "checkForUpdates": false}',
}

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not CHROMIUM, reason="chromium is not installed: nothing was tried"),
]


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[str]:
    """Address of a JupyterLab that serves a copy of the lesson, without its outputs."""
    (tmp_path / "notebooks").mkdir()
    notebook = nbformat.read(ROOT / "notebooks" / LESSON, as_version=4)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    nbformat.write(notebook, tmp_path / "notebooks" / LESSON)
    for name, settings in SETTINGS.items():
        path = tmp_path / "settings" / "@jupyterlab" / f"{name}.jupyterlab-settings"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(settings)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root"]
    command += [
        f"--ServerApp.{key}={value}" for key, value in [("ip", "127.0.0.1"), ("port", port)]
    ]
    command += [f"--ServerApp.root_dir={tmp_path / 'notebooks'}", "--ServerApp.port_retries=0"]
    command += [f"--IdentityProvider.token={TOKEN}"]
    command += [f"--LabApp.user_settings_dir={tmp_path / 'settings'}"]
    command += [f"--LabApp.workspaces_dir={tmp_path / 'workspaces'}"]
    environment = os.environ | {"JUPYTER_CONFIG_DIR": str(tmp_path / "config")}
    with (tmp_path / "server.log").open("wb") as log:
        server = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    address = f"http://127.0.0.1:{port}"
    try:
        wait_for(server, f"{address}/api?token={TOKEN}", tmp_path / "server.log")
        yield address
    finally:
        server.terminate()  # ends its kernels too
        server.wait(20)


def wait_for(server: subprocess.Popen[bytes], url: str, log: Path) -> None:
    for _ in range(300):
        assert server.poll() is None, log.read_text()
        try:
            urllib.request.urlopen(url, timeout=5).close()
            return
        except OSError:
            time.sleep(0.2)
    raise AssertionError(log.read_text())


def test_lesson_runs_in_jupyterlab(lab: str, tmp_path: Path) -> None:
    playwright = pytest.importorskip("playwright.sync_api")
    outside = []
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch_persistent_context(
            str(tmp_path / "profile"),
            executable_path=CHROMIUM,
            args=["--no-sandbox", "--disable-dev-shm-usage"],
            viewport={"width": 1280, "height": 1000},
        )
        page = browser.new_page()
        page.set_default_timeout(90_000)
        page.on("request", lambda r: outside.append(r.url) if r.url.startswith("http") else None)
        page.goto(f"{lab}/lab/tree/{LESSON}?token={TOKEN}")
        page.get_by_text(re.compile(r"Python 3 \(ipykernel\) \| Idle")).wait_for()
        page.locator("li.lm-MenuBar-item", has_text="Run").click()
        page.locator('li.lm-Menu-item[data-command="runmenu:run-all"]').click()
        # Errors are shown with this type too; a lesson should write nothing else there.
        errors = page.locator('[data-mime-type="application/vnd.jupyter.stderr"]')
        prompt = page.locator(".jp-CodeCell .jp-InputArea-prompt").last
        done = prompt.filter(has_text=re.compile(r"\d"))
        done.or_(errors).first.wait_for(timeout=150_000)
        assert errors.all_inner_texts() == []
        assert page.locator(".jp-RenderedImage img").count() > 0
        page.keyboard.press("Control+s")
        page.locator(".jp-mod-current:not(.jp-mod-dirty)").first.wait_for()
        path = tmp_path / "notebooks" / LESSON
        saved = wait_until_saved(path)
        browser.close()
    assert not [url for url in outside if not url.startswith(lab)]
    code = [cell for cell in saved.cells if cell.cell_type == "code" and cell.source]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    kinds = {
        output.get("metadata", {}).get("course", {}).get("kind")
        for cell in code
        for output in cell.outputs
    }
    assert {"record", "exercise"} <= kinds
    assert not [o for cell in code for o in cell.outputs if o.output_type == "error"]


def wait_until_saved(path: Path) -> nbformat.NotebookNode:
    for _ in range(100):
        notebook = nbformat.read(path, as_version=4)
        if any(cell.get("outputs") for cell in notebook.cells):
            return notebook
        time.sleep(0.1)
    raise AssertionError("JupyterLab did not save the notebook")
