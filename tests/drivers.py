"""The store serves through two client libraries; what it does, it has to do through both."""

import pytest

from octomesh_graphql.store.mongo import Driver

both_drivers = pytest.mark.parametrize("driver", list(Driver), indirect=True, ids=lambda driver: driver.value)
"""Runs a test, or with `pytestmark = both_drivers` a module, once with Motor and once with PyMongo."""
