"""Who may look: links, sessions, tokens, hosts and origins, each refused for its own reason."""

import pytest

from otelml.viewer.access import MOST_LINKS, MOST_SESSIONS, Access, is_loopback

COOKIE = "otelml_view_1"


def headers(**given):
    """Return headers of a request to the viewer's own address."""
    return {"Host": "127.0.0.1:4319"} | {name.replace("_", "-"): value for name, value in given.items()}


def test_a_link_lets_in_once():
    """The first use gives a session, the second none; so do tokens that were never given."""
    access = Access()
    token = access.new_link()
    session = access.redeem(token)
    assert session is not None
    assert access.allowed(headers(Cookie=f"{COOKIE}={session}"), COOKIE)
    assert access.redeem(token) is None
    assert access.redeem("") is None
    assert access.redeem(session) is None


def test_nothing_else_lets_in():
    """Neither a wrong cookie, the link's token as a cookie, a cookie of another viewer nor a wrong bearer."""
    access = Access()
    token = access.new_link()
    session = access.redeem(access.new_link())
    for given in (
        {},
        {"Cookie": f"{COOKIE}=wrong"},
        {"Cookie": f"{COOKIE}={token}"},
        {"Cookie": f"other={session}"},
        {"Cookie": "\x00;;=;"},
        {"Authorization": "Bearer wrong"},
        {"Authorization": "Bearer "},
        {"Authorization": f"Basic {access.bearer}"},
        {"Authorization": "Bearer ü"},
    ):
        assert not access.allowed(headers(**given), COOKIE), given
    assert access.allowed(headers(Authorization=f"bearer {access.bearer}"), COOKIE)


def test_what_is_kept_is_bounded():
    """The oldest links and sessions go when there are too many."""
    access = Access()
    links = [access.new_link() for _ in range(MOST_LINKS + 1)]
    assert access.redeem(links[0]) is None
    first = access.redeem(links[1])
    for _ in range(MOST_SESSIONS):
        access.redeem(access.new_link())
    assert not access.allowed(headers(Cookie=f"{COOKIE}={first}"), COOKIE)


def test_tokens_are_long_and_never_the_same():
    """256 bits each, of links, sessions and programs."""
    access = Access()
    made = {access.bearer, Access().bearer, access.new_link(), access.new_link(), access.redeem(access.new_link())}
    assert len(made) == 5
    assert min(map(len, made)) >= 43


@pytest.mark.parametrize("host", ["127.0.0.1:4319", "localhost:4319", "LOCALHOST", "[::1]:4319", "127.0.0.2", "[::1]"])
def test_names_of_loopback_are_ours(host):
    """Whatever the port: it may be forwarded."""
    assert Access().foreign({"Host": host}) is None


@pytest.mark.parametrize(
    "host",
    [
        "evil.example:4319",
        "127.0.0.1.evil.example",
        "",
        "localhost.evil.example",
        "10.0.0.5",
        "[::1",
        "a:b",
        "[fe80::1]",
    ],
)
def test_other_names_are_somebody_elses(host):
    """DNS rebinding: the attacker's name leads here, and is refused."""
    refusal = Access().foreign({"Host": host})
    assert refusal is not None
    assert refusal.status == 403
    assert "127.0.0.1" in refusal.fix


def test_listening_elsewhere_takes_its_own_names_and_addresses():
    """The address that was given, any other address (no name can be made to lead to it), but no foreign name."""
    access = Access("0.0.0.0", "t" * 20)  # noqa: S104 - nothing is bound
    assert access.bearer == "t" * 20
    assert access.foreign({"Host": "192.168.1.7:4319"}) is None
    assert Access("viewer.lan").foreign({"Host": "viewer.lan:4319"}) is None
    assert access.foreign({"Host": "evil.example:4319"}) is not None


@pytest.mark.parametrize(
    "given",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:9999"},
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},
        {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "no-cors"},
    ],
)
def test_requests_of_other_sites_are_refused(given):
    """Whatever a foreign page asks for by itself, with our cookie or without."""
    refusal = Access().foreign(headers(**given))
    assert refusal is not None
    assert "another site" in refusal.message


def test_our_own_page_and_programs_may_ask():
    """Same origin, typed addresses, and what sends no such header at all."""
    access = Access()
    for given in (
        {},
        {"Origin": "http://127.0.0.1:4319"},
        {"Sec_Fetch_Site": "same-origin"},
        {"Sec_Fetch_Site": "none"},
    ):
        assert access.foreign(headers(**given)) is None


def test_a_link_on_another_site_may_lead_here():
    """Following it shows the page without data; only as a page, not as an image, frame or fetch."""
    access = Access()
    given = headers(Sec_Fetch_Site="cross-site", Sec_Fetch_Mode="navigate", Sec_Fetch_Dest="document")
    assert access.foreign(given) is None
    assert access.linked_from_elsewhere(given)
    assert not access.allowed(given, COOKIE)
    assert not access.linked_from_elsewhere(headers(Sec_Fetch_Site="none", Sec_Fetch_Mode="navigate"))


def test_loopback_is_known_by_name_and_address():
    """And nothing else is."""
    assert all(map(is_loopback, ("127.0.0.1", "127.8.8.8", "::1", "localhost")))
    assert not any(map(is_loopback, ("0.0.0.0", "::", "10.0.0.1", "example.com", "")))  # noqa: S104 - nothing is bound
