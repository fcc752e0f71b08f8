"""Tables in text: what a column says decides, in CSV and in SQL, wherever blocks are cut."""

from __future__ import annotations

import pytest

from scrubber.detector import Detector
from scrubber.pseudonym import Pseudonymizer
from scrubber.rules import load_rules
from scrubber.text import TextScrubber

DETECTOR = Detector(load_rules(), Pseudonymizer(b"k" * 32))
TABLES = {
    "comma": b"id,first_name,last_name,street,dob,note\n"
    b'1,Solveig,Li,"ul. Dluga 92, x",1986-10-06,kept\n2,Bo,Berg,,,kept\n',
    "semicolon": b"Nr;Vorname;Nachname;Telefon;Bemerkung\r\n7;Solveig;Berg;05093/620521;kept\r\n",
    "insert": b"INSERT INTO `c` (`id`, `first_name`, `tax_id`) VALUES "
    b"(1,'Solveig',38420601790),\n(2,'Berg',NULL);\nkept\n",
    "phones": b"id,phone,note\n1,+1 900-555-8641,kept\n2,+1 (600) 208-8468,kept\n"
    b"3,+1 800 200-9468,kept\n4,+352 62 11 2345,kept\n",
    "logins": b"id,username,note\n1,sberg,kept\n2,NORD\\sberg,kept\n3,root,kept\n",
    "dump": b"CREATE TABLE `c` (\n  `id` int NOT NULL AUTO_INCREMENT,\n  `vorname` varchar(64) DEFAULT NULL,\n"
    b"  `geburtsdatum` date DEFAULT NULL,\n  `status` enum('kept','x') DEFAULT 'x',\n  PRIMARY KEY (`id`)\n);\n"
    b"INSERT INTO `c` VALUES (1,'Solveig','1986-10-06','kept'),(2,'Berg',NULL,'kept');\n",
    "sqlite dump": b'CREATE TABLE "main"."staff"(id INTEGER PRIMARY KEY, full_name TEXT, home_phone TEXT, dept TEXT);\n'
    b"INSERT INTO staff VALUES(1,'Solveig Berg','020 7946 8641','kept');\n",
    "exchange": b"#Software: x\n#Fields: date-time,client-hostname,sender-name,event\n2026-11-12,BERG01,kept,kept\n",
    "parts": b"nr;nom;prenom;cp;Tel. privat\n7;Berg;Solveig;62052;05093/620521\nkept\n",
    "copy": b"COPY public.users (id, full_name, street) FROM stdin;\n"
    b"1\tSolveig Berg\tDluga 92\n2\t\\N\t\\N\n\\.\nkept\n",
}
GONE = (b"Solveig", b"Berg", b"Dluga", b"1986", b"620521", b"38420601790", b"sberg", b"8641", b"8468", b"9468", b"2345")


def run(data: bytes, cut: int, block: int) -> bytes:
    scrubber = TextScrubber(DETECTOR, lambda _: None, block=block)
    return b"".join(scrubber.feed(data[at : at + cut]) for at in range(0, len(data), cut)) + scrubber.finish()


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_personal_columns_go_and_the_others_stay(table):
    """What stands under a personal column goes; what stands beside it stays, and twice changes nothing."""
    out = run(table, len(table), 1 << 20)
    assert not any(value in out for value in GONE)
    assert out.count(b"kept") == table.count(b"kept")
    assert out.count(b"\n") == table.count(b"\n")
    assert run(out, len(out), 1 << 20) == out


def test_columns_of_another_table_are_not_taken():
    """An insert without columns is read by those of its own table alone."""
    table = b"CREATE TABLE a (first_name text);\nINSERT INTO b VALUES ('Solveig');\n"
    assert run(table, len(table), 1 << 20) == table


def test_columns_are_remembered_from_block_to_block():
    """A table longer than any block keeps its columns to its end."""
    rows = b"".join(b"%d,Solveig,Berg%s,kept\n" % (number, b"a" * (number % 7)) for number in range(9000))
    table = b"id,first_name,last_name,note\n" + rows
    out = run(table, 4096, 1 << 16)
    assert b"Solveig" not in out
    assert b",Berg" not in out
    assert out == run(table, len(table), 1 << 20)


ROWS = (
    b"1,Solveig,Berg,kept",
    b"2, Solveig ,Berg ,kept",
    b"3,,Berg,kept",
    b"4,Solveig,Berg,kept,beyond,its columns",
    b"5,Solveig,Berg,kept,far,beyond,its,columns",
    b"6,O'Neill,Berg,it's kept",
    b"7,'Solveig','Berg',kept",
    b"8,Solveig,Berg\rkept",
    b"9,Solveig",
    b"",
    b",",
)


@pytest.mark.parametrize("end", [b"\n", b"\r\n"], ids=repr)
@pytest.mark.parametrize("row", ROWS, ids=repr)
def test_a_plain_row_is_read_as_one_among_quotes_is(row, end):
    """Rows without quotes are split, rows with them read cell by cell: they say the same, the second time too."""
    reader = DETECTOR.new_tables()
    reader.resume(0, ("csv", b",", (b"id", b"first_name", b"last_name", b"note")))
    text = row + end + row + end
    spans = reader.read(text, 0, len(text))
    by_cells: list = []
    for at in (0, len(row + end)):
        reader._awkward_row(text, at, by_cells)
    assert spans == sorted(by_cells)


@pytest.mark.timeout(60)
@pytest.mark.parametrize("filler", [b"\n", b" \n", b"\r\n", b"#\n", b"\t", b'"', b","], ids=repr)
def test_lines_without_a_header_cost_little(filler):
    """Nothing that a header could begin with makes the search for one run away."""
    data = filler * 20_000 + b"end"
    assert run(data, len(data), 1 << 20) == data


DRAWN = {
    "psql": b"shop=> select id, full_name, email from c;\n id |  full_name   |  email\n----+--------------+---------\n"
    b"  1 | Solveig Berg | a@example.com\n(1 row)\n\nfull_name | kept\n",
    "mysql": b"mysql> select * from c;\n+----+------------+-----------+\n| id | first_name | last_name |\n"
    b"+----+------------+-----------+\n|  1 | Solveig    | Berg      |\n+----+------------+-----------+\nkept | kept\n",
    "markdown": b"kept\n\n| Vorname | Nachname | Note |\n|:--------|---------:|------|\n"
    b"| Solveig | Berg | kept |\n\nkept\n",
    "powershell": "Name           SamAccountName GivenName\n----           -------------- ---------\n"
    "J\u00fcrgen Solveig  sberg          Solveig\n\nkept Berlin\n".encode(),
    "expanded": b"-[ RECORD 1 ]-------+------\nid                  | 3\nfirst_name          | Solveig\nnote | kept\n",
    "settings": b'key,value\nretries,kept\nfirst_name,Solveig\n"db.password","Berg-8641-x"\n',
}


@pytest.mark.parametrize("table", DRAWN.values(), ids=DRAWN)
def test_columns_of_tables_that_are_drawn_are_read(table):
    """A ruler below names makes a table, up to the first line that is no row, wherever blocks are cut."""
    out = run(table, len(table), 1 << 20)
    assert not any(value in out for value in GONE)
    assert out.count(b"kept") == table.count(b"kept")
    assert run(out, len(out), 1 << 20) == out
    assert all(run(table, cut, 64) == out for cut in (1, 7, 50))


def test_rulers_without_names_make_no_table():
    """Rulers of lists, diffs and front matter change nothing."""
    text = b"first_name\n----------\nSolveig\n\nuser -- a | b\n--- a/x\n+++ b/x\n- --flag -+- c\nSolveig | Berg\n"
    assert run(text, len(text), 1 << 20) == text


@pytest.mark.parametrize(
    "table",
    [
        b"host,agent_version,seen\na,17.22.11.51,10.2.3.5\nb,10.2.3.4,5.6.7.8\n",
        b'"ip";"Version"\n"10.2.3.5";"17.22.11.51"\n"5.6.7.8";"v10.2.3.4-rc1"\n',
        b"id | version     | seen\n---+-------------+--------\n1 | 17.22.11.51 | 10.2.3.5\n2 | 10.2.3.4    | 5.6.7.8\n",
        b"name\tFileVersion\tip\nx\t17.22.11.51\t10.2.3.5\ny\t10.2.3.4\t5.6.7.8\n",
        b"INSERT INTO t (ip, build) VALUES ('10.2.3.5', '17.22.11.51'), ('5.6.7.8', '10.2.3.4');\n",
    ],
    ids=["comma", "semicolon", "drawn", "tab", "insert"],
)
def test_versions_stay_where_a_column_says_that_they_are(table):
    """Four numbers in a column of versions stay, and addresses in the column beside it go; wherever blocks are cut."""
    out = run(table, 8 << 10, 1 << 20)
    assert b"17.22.11.51" in out
    assert b"10.2.3.4" in out
    assert b"10.2.3.5" not in out
    assert b"5.6.7.8" not in out
    assert out == run(table, 7, 64)


def test_prose_below_a_pair_is_no_column_of_secrets():
    """A first line with a separator heads no table where the next line has none."""
    text = b"password|state\nThe scheduler woke the worker.\nIt went to sleep again.\n"
    scrubber = TextScrubber(DETECTOR, lambda _: None)
    assert scrubber.feed(text) + scrubber.finish() == text
