"""What the columns of a table tell of who is who."""

from __future__ import annotations

from scrubber.inventory import MOST, read_inventory


def test_a_column_of_hosts_or_logins_tells_of_each():
    """An inventory's rows are read, quoted cells and all."""
    text = b'Hostname;Owner;User name\nzr-blau;x;mrossi\n"HAMSTER7";y;"bsander"\n'
    assert list(read_inventory(text)) == [
        ("host", b"zr-blau"),
        ("user", b"mrossi"),
        ("host", b"HAMSTER7"),
        ("user", b"bsander"),
    ]


def test_rows_of_sql_tell_of_users_and_persons():
    """A dump's columns stand in the statement, or in the table's that was created before."""
    created = (
        b"CREATE TABLE u (id int, user_login varchar(9), display_name text, email text);\n"
        b"INSERT INTO u VALUES (1,'mrossi','Maria Rossi','m@x.de');\n"
    )
    assert ("user", b"mrossi") in read_inventory(created)
    listed = (
        b"INSERT INTO staff (first, hired, login) VALUES\n(1, DATE '2019-04-01', 'mrossi'),\n(2, NULL, 'bsander');\n"
    )
    assert [value for kind, value in read_inventory(listed) if kind == "user"] == [b"mrossi", b"bsander"]


def test_a_text_that_is_no_table_tells_nothing():
    """Neither do tables without such columns."""
    assert list(read_inventory(b"the host, the user\nand a word, or two\n")) == []
    assert list(read_inventory(b"Article,Price\nchair,10\ntable,20\n")) == []


def test_no_more_than_the_beginning_of_a_long_table_is_read():
    """A row that does not end before the limit is left out, wherever the text was cut."""
    row = b"web1,x\n"
    text = b"Hostname,a\n" + row * (MOST // len(row) + 10)
    assert len(list(read_inventory(text))) == len(list(read_inventory(text[: MOST + 5]))) == (MOST - 11) // len(row)
