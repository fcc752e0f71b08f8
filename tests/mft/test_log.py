"""The log: one line an event, its key-values, and no secret in it."""

from __future__ import annotations

import io
import json
import logging
import threading

import pytest

from mft.config import LogConfig
from mft.log import HIDDEN, configure_logging, hide, hide_in_text, in_session


@pytest.fixture
def log():
    """Return a function that logs once in a form and gives the line back; the root logger is left as it was."""
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    stream = io.StringIO()

    def log(form, level, event, **details):
        configure_logging(LogConfig(format=form), "worker-1", stream=stream)
        logging.getLogger("mft.test").log(level, event, **details)
        return stream.getvalue()

    yield log
    for handler in root.handlers[:]:
        if handler not in before:
            root.removeHandler(handler)
    root.setLevel(level)
    logging.captureWarnings(capture=False)


class TestJson:
    def test_line_holds_event_and_key_values(self, log):
        """One event is one JSON object."""
        line = json.loads(log("json", logging.INFO, "upload.landed", extra={"session": "s1", "size": 3}))
        assert line.pop("time").endswith("+00:00")
        assert line == {
            "level": "INFO",
            "role": "worker-1",
            "event": "upload.landed",
            "logger": "mft.test",
            "session": "s1",
            "size": 3,
        }

    def test_line_is_one_line_whatever_is_in_it(self, log):
        """No value can begin a line of its own."""
        text = log("json", logging.INFO, "a\nb", extra={"peer": "x\r\n{}\u2028"})
        assert text.count("\n") == 1
        assert json.loads(text)["peer"] == "x\r\n{}\u2028"

    def test_key_of_the_line_itself_cannot_be_replaced(self, log):
        """A key-value named like one of the line's own keys stands beside it."""
        line = json.loads(log("json", logging.INFO, "real", extra={"event": "fake", "level": "fake"}))
        assert (line["event"], line["event_"], line["level"], line["level_"]) == ("real", "fake", "INFO", "fake")

    def test_exception_is_named_and_traced(self, log):
        """An exception stands on the same line, without a password in its text."""
        try:
            raise ValueError("password=hunter2")
        except ValueError:
            line = json.loads(log("json", logging.ERROR, "oops", exc_info=True))
        assert line["error"] == "ValueError"
        assert "Traceback" in line["trace"]
        assert "hunter2" not in line["trace"]

    def test_session_of_the_block_is_on_every_line(self, log):
        """A session bound to a thread is on its lines and on nobody else's."""
        with in_session("s9"):
            text = log("json", logging.INFO, "mine")
            thread = threading.Thread(target=log, args=("json", logging.INFO, "theirs"))
            thread.start()
            thread.join()
        assert json.loads(text)["session"] == "s9"

    def test_value_that_json_does_not_know_is_written_as_text(self, log, tmp_path):
        """A path or any other object does not break the line."""
        assert json.loads(log("json", logging.INFO, "x", extra={"path": tmp_path}))["path"] == str(tmp_path)


class TestText:
    def test_line_is_for_people(self, log):
        """The text form is one readable line."""
        line = log("text", logging.WARNING, "disk.low", extra={"free": 5, "where": "a b"})
        assert line.endswith('Z WARNING worker-1: disk.low free=5 where="a b"\n')

    def test_control_characters_do_not_reach_the_terminal(self, log):
        """No value can steer a terminal or forge a line."""
        line = log("text", logging.INFO, "x\x1b[2J\ny", extra={"name_given": "\x1b]0;t\x07\n\u202ez"})
        assert line.count("\n") == 1
        assert not {"\x1b", "\x07", "\u202e"} & set(line)


class TestHiding:
    @pytest.mark.parametrize(
        "key",
        ["password", "passphrase", "client_secret", "Authorization", "token", "Set-Cookie", "api_key", "PrivateKey"],
    )
    def test_value_is_hidden_by_its_key(self, key):
        """What a key calls a secret is not shown, however deep."""
        assert hide(key, "hunter2") == HIDDEN
        assert hide("outer", {"inner": [{key: "hunter2"}]}) == {"inner": [{key: HIDDEN}]}

    @pytest.mark.parametrize("key", ["token_id", "token_count", "login", "key_fingerprint", "passed"])
    def test_value_that_is_no_secret_is_shown(self, key):
        """Which and how many may be said."""
        assert hide(key, "7f3a") == "7f3a"

    @pytest.mark.parametrize(
        "text",
        [
            "password=hunter2",
            "Authorization: Basic hunter2",
            "'authorization': 'Bearer hunter2'",
            'sent {"token": "hunter2"}',
            "https://me:hunter2@host/x",
            "Cookie: hunter2",
            "api-key: hunter2",
        ],
    )
    def test_secret_in_a_text_is_hidden(self, text):
        """What looks like a secret in a message is not shown."""
        assert "hunter2" not in hide_in_text(text)

    @pytest.mark.parametrize(
        "text", ["http://127.0.0.1:8090/v1/cases", "passed 3 of 4", "tokens are fine", "key id 7f"]
    )
    def test_ordinary_text_stays(self, text):
        """Ports and plain words survive."""
        assert hide_in_text(text) == text


class TestConfiguring:
    def test_second_call_replaces_the_first(self, log):
        """Nothing is logged twice."""
        log("json", logging.INFO, "one")
        assert log("text", logging.INFO, "two").count("two") == 1

    def test_level_is_kept(self, log):
        """What is below the level is not written."""
        assert log("json", logging.DEBUG, "quiet") == ""

    def test_talkative_libraries_are_quiet(self, log):
        """Libraries that tell names at INFO are heard from WARNING on."""
        log("json", logging.INFO, "x")
        assert not logging.getLogger("asyncssh.sftp").isEnabledFor(logging.INFO)
        assert logging.getLogger("httpx").isEnabledFor(logging.WARNING)

    def test_file_is_opened_anew_when_rotated_away(self, log, tmp_path):
        """A renamed file is left and a new one begun."""
        log("json", logging.INFO, "x")
        path = tmp_path / "mft.log"
        configure_logging(LogConfig(file=path), "intake")
        logging.getLogger("mft").info("first")
        path.rename(tmp_path / "old")
        logging.getLogger("mft").info("second")
        configure_logging(LogConfig(), "intake", stream=io.StringIO())
        assert json.loads((tmp_path / "old").read_text())["event"] == "first"
        assert json.loads(path.read_text())["event"] == "second"
