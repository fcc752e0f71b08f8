"""The command line: what each command says, its exit code, and that no one sees a traceback."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys

import pytest
import typer
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

import mft.cli
from mft.cli.output import whole_file
from mft.receipts import public_key_document, sign_receipt

CONFIG = """
data: data
listeners: [{protocol: sftp, port: 2222}]
regions: {eu: {keyring: {passphrase_file: eu.pass}}}
lookup: {table: cases.yaml}
"""


def write(path, content, mode=0o600):
    path.write_text(content, encoding="utf-8")
    path.chmod(mode)
    return path


class TestFrame:
    def test_help_names_the_commands(self, run):
        """`mft --help` lists what there is."""
        code, out, _ = run("--help")
        assert code == 0
        assert all(command in out for command in ("config", "receipt", "scrub", "version"))

    def test_help_imports_nothing_heavy(self):
        """No command's help waits for cryptography, SSH or a database."""
        heavy = {"cryptography", "asyncssh", "aiohttp", "sqlalchemy", "yaml", "dbos", "rich"}
        program = f"import sys, mft.cli; mft.cli.build(); print(sorted({heavy} & set(sys.modules)))"
        shown = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
        assert shown.strip() == "[]"

    def test_a_command_imports_its_own_module_alone(self):
        """`mft serve` does not wait for what the other commands need."""
        program = "import sys, mft.cli; mft.cli.build('serve'); print([m for m in sys.modules if m[:8] == 'mft.cli.'])"
        shown = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
        assert "mft.cli.serve" in shown
        assert "mft.cli.scrub" not in shown

    def test_each_command_runs_under_the_name_it_is_listed_with(self, run):
        """What `mft --help` names is what a person can type."""
        app = typer.main.get_command(mft.cli.build())
        for name in app.commands:
            code, out, error = run(name, "--help")
            assert (code, error) == (0, "")
            assert f"mft {name}" in out

    def test_module_runs_as_the_command(self):
        """`python -m mft` is `mft`."""
        done = subprocess.run([sys.executable, "-m", "mft", "version"], capture_output=True, text=True, check=True)
        assert done.stdout.startswith("mft 0.")

    def test_version_is_an_option_too(self, run):
        """`mft --version` says what `mft version` says."""
        assert run("--version") == run("version")
        assert run("--version")[0] == 0

    def test_wrong_usage_has_exit_code_2(self, run):
        """An unknown command, and a missing argument."""
        assert run("bogus")[0] == 2
        assert run("config", "check")[0] == 2

    def test_unexpected_failure_shows_no_traceback_and_says_where_it_stands(self, run, monkeypatch, tmp_path):
        """The trace goes into a file, without the password in it, and a sentence to the person."""
        monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

        def fail(_path, _environment):
            raise RuntimeError("password=hunter2")

        monkeypatch.setattr("mft.config.load_config", fail)
        code, _, error = run("config", "check", "x.yaml")
        assert code == 1
        assert "Traceback" not in error
        (kept,) = tmp_path.iterdir()
        assert str(kept) in error
        assert "RuntimeError" in kept.read_text()
        assert "hunter2" not in kept.read_text() + error

    def test_interrupt_is_no_failure_of_ours(self, run, monkeypatch):
        """Ctrl-C ends with the shell's code for it."""

        def interrupt(_path, _environment):
            raise KeyboardInterrupt

        monkeypatch.setattr("mft.config.load_config", interrupt)
        code, _, error = run("config", "check", "x.yaml")
        assert code == 130
        assert "Traceback" not in error


class TestConfigCheck:
    def test_good_configuration_is_summed_up(self, run, tmp_path):
        """Exit code 0, and where things will lie."""
        write(tmp_path / "eu.pass", "correct horse\n")
        write(tmp_path / "cases.yaml", "customers: []\n")
        code, out, error = run("config", "check", write(tmp_path / "mft.yaml", CONFIG))
        assert (code, error) == (0, "")
        assert "mft.yaml: good" in out
        assert str(tmp_path / "data") in out
        assert not (tmp_path / "data").exists()

    def test_faults_are_listed_one_a_line(self, run, tmp_path):
        """Exit code 1, and every fault with file, line, path, what was expected and the nearest key."""
        path = write(tmp_path / "mft.yaml", CONFIG + "limts: {}\nlog: {level: 3}\n")
        code, _, error = run("config", "check", path)
        assert code == 1
        assert error.splitlines()[0].startswith(f"mft: {path}:6: limts: is not a key; expected one of ")
        assert error.splitlines()[0].endswith("did you mean limits?")
        assert error.splitlines()[1:] == [
            f"mft: {path}:7: log.level: expected DEBUG or INFO or WARNING or ERROR; found 3"
        ]

    def test_files_that_it_names_are_tried(self, run, tmp_path):
        """Missing and open secrets and tables are faults, all of them at once."""
        write(tmp_path / "eu.pass", "correct horse\n", mode=0o644)
        code, _, error = run("config", "check", write(tmp_path / "mft.yaml", CONFIG))
        assert code == 1
        assert "regions.eu.keyring.passphrase_file: expected a file that is closed to others" in error
        assert "cases.yaml: expected a file that can be read" in error
        assert "correct horse" not in error

    def test_table_of_cases_is_looked_into(self, run, tmp_path):
        """A wrong record of a static table is named by its place."""
        write(tmp_path / "eu.pass", "correct horse\n")
        write(tmp_path / "cases.yaml", "customers: [{id: acme, nme: Acme}]\n")
        code, _, error = run("config", "check", write(tmp_path / "mft.yaml", CONFIG))
        assert code == 1
        assert f"{tmp_path / 'cases.yaml'}: lookup.table: customers[0]" in error

    def test_file_that_is_not_there_is_named(self, run, tmp_path):
        """No traceback for a wrong path."""
        code, _, error = run("config", "check", tmp_path / "none.yaml")
        assert code == 1
        assert (
            error
            == f"mft: {tmp_path / 'none.yaml'}: expected a file that can be read; found No such file or directory\n"
        )


class TestReceiptVerify:
    KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))

    @pytest.fixture
    def files(self, tmp_path):
        receipt = sign_receipt({"kind": "final", "id": "r-1", "name": "a\x1b[2J.log"}, self.KEY)
        key = write(tmp_path / "key.json", json.dumps(public_key_document(self.KEY.public_key())))
        return write(tmp_path / "receipt.json", json.dumps(receipt)), key

    def test_genuine_receipt(self, run, files):
        """Exit code 0, and the claims, with nothing in them that steers a terminal."""
        code, out, _ = run("receipt", "verify", files[0], "--key", files[1])
        assert code == 0
        assert "genuine" in out
        assert '"r-1"' in out
        assert "\x1b" not in out

    def test_receipt_from_standard_input(self, run, files):
        """`-` is standard input."""
        assert run("receipt", "verify", "-", "--key", files[1], stdin=files[0].read_bytes())[0] == 0

    def test_altered_receipt(self, run, files):
        """Exit code 1, and it says why."""
        files[0].write_text(files[0].read_text().replace("r-1", "r-2"))
        code, out, error = run("receipt", "verify", files[0], "--key", files[1])
        assert (code, out) == (1, "")
        assert "not genuine" in error
        assert "altered" in error

    def test_right_one_of_several_keys_is_used(self, run, files, tmp_path):
        """After a change of keys, old and new receipts verify with both keys at hand."""
        other = public_key_document(Ed25519PrivateKey.generate().public_key())
        first = write(tmp_path / "other.json", json.dumps(other))
        assert run("receipt", "verify", files[0], "--key", first, "--key", files[1])[0] == 0
        assert run("receipt", "verify", files[0], "--key", first)[0] == 1

    def test_missing_file_is_named(self, run, files, tmp_path):
        """No traceback for a wrong path."""
        code, _, error = run("receipt", "verify", files[0], "--key", files[0], "--public-key", tmp_path / "none")
        assert (code, f"{files[0]}: " in error) == (1, True)
        code, _, error = run("receipt", "verify", tmp_path / "none", "--key", files[1])
        assert code == 1
        assert error == f"mft: {tmp_path / 'none'}: No such file or directory\n"

    def test_published_key_of_a_server_verifies_its_receipts(self, run, tmp_path):
        """`mft receipt key` gives what `--key` takes."""
        config = write(tmp_path / "mft.yaml", CONFIG)
        code, out, _ = run("receipt", "key", "--config", config)
        assert code == 0
        assert json.loads(out)["kind"] == "mft-receipt-key"
        assert run("receipt", "key", "--config", config)[1] == out


class TestWholeFile:
    def test_file_appears_only_at_the_end(self, tmp_path):
        """Within the block the old content stands; afterwards the new one, and no leftover."""
        path = write(tmp_path / "a", "old")
        with whole_file(path) as file:
            file.write(b"new")
            assert path.read_text() == "old"
        assert path.read_text() == "new"
        assert [left.name for left in tmp_path.iterdir()] == ["a"]

    def test_file_stays_as_it_was_when_the_block_raises(self, tmp_path):
        """A failure leaves neither half a file nor a leftover."""
        path = write(tmp_path / "a", "old")
        with contextlib.suppress(RuntimeError), whole_file(path) as file:
            file.write(b"new")
            raise RuntimeError
        assert path.read_text() == "old"
        assert [left.name for left in tmp_path.iterdir()] == ["a"]

    def test_link_is_followed(self, tmp_path):
        """A symbolic link stays one, and what it points to is replaced."""
        target = write(tmp_path / "target", "old")
        (tmp_path / "link").symlink_to(target)
        with whole_file(tmp_path / "link") as file:
            file.write(b"new")
        assert (tmp_path / "link").is_symlink()
        assert target.read_text() == "new"


class TestScrub:
    SECRET = b"AKIAQYLPMN5HXZ7TVKWD"
    TEXT = b"2026-11-22 user=anna.berg@corp-mail.de key=" + SECRET + b" from 203.0.113.77\n"

    @pytest.fixture
    def source(self, tmp_path):
        path = tmp_path / "app.log"
        path.write_bytes(self.TEXT)
        return path

    def test_file_is_scrubbed_and_reported(self, run, source, tmp_path):
        """Exit code 0; DST without the secrets, a report that counts them and holds none, SRC as it was."""
        target, report = tmp_path / "out.log", tmp_path / "report.json"
        code, out, error = run("scrub", source, target, "--report", report)
        assert (code, out) == (0, "")
        assert self.SECRET not in target.read_bytes()
        assert b"anna.berg" not in target.read_bytes()
        assert json.loads(report.read_text())["counts"]
        assert b"anna.berg" not in report.read_bytes() + error.encode()
        assert "random" in error
        assert source.read_bytes() == self.TEXT

    def test_pipes_may_stand_at_both_ends(self, run, tmp_path):
        """`-` and `-`: the scrubbed text alone is on standard output."""
        report = tmp_path / "report.json"
        code, out, _ = run("scrub", "-", "-", "--name", "x.log", "--report", report, stdin=self.TEXT)
        assert code == 0
        assert out.startswith("2026-11-22 user=")
        assert out.count("\n") == 1
        assert "anna.berg" not in out
        assert {finding["member"] for finding in json.loads(report.read_text())["findings"]} == {"x.log"}

    def test_one_key_gives_the_same_pseudonyms(self, run, source, tmp_path):
        """Two runs with one key file agree; with random keys they do not."""
        key = write(tmp_path / "key", "0123456789abcdef")
        results = [run("scrub", source, "-", *options)[1] for options in (("--key-file", key),) * 2 + ((), ())]
        assert results[0] == results[1]
        assert len(set(results)) == 3

    def test_what_cannot_be_looked_into_is_not_written(self, run, tmp_path):
        """Exit code 3, no DST, and a report that says why."""
        source, target, report = tmp_path / "a.gz", tmp_path / "out.gz", tmp_path / "report.json"
        source.write_bytes(b"\x1f\x8b\x08\x00" + bytes(6) + b"no deflate stream at all" * 10)
        code, _, error = run("scrub", source, target, "--report", report)
        assert code == 3
        assert not target.exists()
        assert json.loads(report.read_text())["obstacles"]
        assert "nothing was written" in error

    def test_what_cannot_be_looked_into_does_not_reach_a_pipe(self, run):
        """Not a byte of it comes out at the other end."""
        code, out, _ = run("scrub", "-", "-", stdin=b"\x1f\x8b\x08\x00" + bytes(6) + b"no deflate stream" * 10)
        assert (code, out) == (3, "")

    def test_existing_target_stays_when_nothing_is_written(self, run, tmp_path):
        """An older DST is not lost."""
        source, target = tmp_path / "a.gz", write(tmp_path / "out.gz", "old")
        source.write_bytes(b"\x1f\x8b\x08\x00" + bytes(6) + b"no deflate stream at all" * 10)
        assert run("scrub", source, target)[0] == 3
        assert target.read_text() == "old"

    def test_wrong_places_are_refused(self, run, source, tmp_path):
        """SRC over itself, DST in SRC, a device, a missing file, one file for two things, a short key: exit code 2."""
        short = write(tmp_path / "short", "abc")
        for arguments in (
            (source, source),
            (tmp_path, tmp_path / "out"),
            (source, "/dev/null"),
            (source, tmp_path),
            (source, tmp_path / "out", "--profile", "lax"),
            (tmp_path / "none", tmp_path / "out"),
            (source, "-", "--report", "-"),
            (source, tmp_path / "out", "--report", tmp_path / "out"),
            (source, tmp_path / "out", "--report", source),
            (source, tmp_path / "out", "--key-file", short),
            (source, tmp_path / "out", "--key-file", tmp_path / "none" / "key"),
        ):
            assert run("scrub", *arguments)[0] == 2, arguments
        assert source.read_bytes() == self.TEXT
        assert not (tmp_path / "out").exists()

    def test_target_that_cannot_be_written_is_named(self, run, source, tmp_path):
        """A missing directory is a sentence, not a traceback."""
        code, _, error = run("scrub", source, tmp_path / "no" / "out")
        assert code == 2
        assert str(tmp_path / "no") in error
        assert "unexpected" not in error
