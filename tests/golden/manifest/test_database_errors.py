"""The text of errors about the database: what is no address, and where a password may not be."""

from syrupy.assertion import SnapshotAssertion

from tests.golden.manifest.conftest import Explain

PLAIN = "s3cr3t"


def of(*databases: str, explain: Explain) -> list[str]:
    return [explain(f"[daemon]\ndatabase = {one}\n") for one in databases]


def test_what_is_no_database_shows_the_forms(explain: Explain, snapshot: SnapshotAssertion) -> None:
    databases = (
        '"sqllite"',
        '"sqlite:/var/lib/o.db"',
        '"mysql://db/name"',
        '"postgresql+asyncpg://db/name"',
        "5",
        '""',
    )
    assert of(*databases, explain=explain) == snapshot


def test_an_address_of_a_wrong_form_shows_what_is_wrong_with_it(explain: Explain, snapshot: SnapshotAssertion) -> None:
    ends = ("db", "db/", "d b/name", "db:70000/name", "db/a/b", "db/a%2", "db/n?ssl_mode=x", "db/n?sslmode=verify")
    told = of(*(f'"postgresql://{end}"' for end in (*ends, "db/n?port=1&port=2", "d;b/n")), explain=explain)
    assert told == snapshot


def test_a_password_in_the_manifest_is_an_error_that_does_not_show_it(
    explain: Explain, snapshot: SnapshotAssertion
) -> None:
    url = f"postgresql://user:{PLAIN}@db/name"
    told = of(
        f'"{url}"',
        f'{{ url = "{url}" }}',
        f'"postgresql://db/name?password={PLAIN}"',
        f'"postgresql://db/name?passfile={PLAIN}"',
        f'{{ url = "postgresql://db/name", password = "{PLAIN}" }}',
        f'{{ url = "postgresql://db/name", password = {{ text = "{PLAIN}" }} }}',
        url,
        f"{{ url = 'postgresql://db/name', password = {PLAIN} }}",
        explain=explain,
    )
    assert PLAIN not in "".join(told).replace(f'passfile={PLAIN}"', "")
    assert told == snapshot


def test_a_table_of_a_wrong_form_shows_its_keys(explain: Explain, snapshot: SnapshotAssertion) -> None:
    url = 'url = "postgresql://localhost/name"'
    tables = ("{}", "{ password = { env = 'A' } }", f"{{ {url}, password = {{}} }}", "{ url = 'sqlite' }")
    assert of(*tables, f"{{ {url}, pasword = {{ env = 'A' }} }}", explain=explain) == snapshot


def test_an_unprotected_way_to_the_database_is_a_warning(explain: Explain, snapshot: SnapshotAssertion) -> None:
    assert of('"postgresql://db/name"', '"postgresql://db/name?sslmode=require"', explain=explain) == snapshot
