"""A Hub on loopback for the tests of this folder."""

import pytest

from tests.hub_server.server import HubServer


@pytest.fixture(scope="module")
def hub_of_module():
    """One server for the tests of a file; each test names repositories of its own."""
    with HubServer() as server:
        yield server
    assert server.crashes == []


@pytest.fixture
def hub(hub_of_module):
    """The Hub on loopback, without faults of earlier tests; a mistake of the Hub itself fails the test."""
    hub_of_module.faults.clear()
    hub_of_module.log.clear()
    yield hub_of_module
    assert hub_of_module.crashes == []
