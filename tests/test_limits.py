"""Limits: what a host sets them by, and whom they count as one."""

from __future__ import annotations

import dataclasses

import pytest
from conftest import ROOT

from nst_core import SettingsError
from page import limits
from page.limits import Limits, in_words, one_client


def test_a_host_sets_them_by_the_environment():
    found = Limits.of({"NST_REQUEST_BYTES": "8e6", "NST_WAITING": "4", "HOME": "/"})
    assert found == dataclasses.replace(Limits(), request_bytes=8e6, waiting=4)
    assert Limits.of({}) == Limits()


@pytest.mark.parametrize("text", ["", "much", "0", "-1", "nan", "inf", "1e999", "16 MB"])
def test_what_is_no_number_above_0_is_refused_by_the_variables_name(text):
    with pytest.raises(SettingsError, match=r"NST_UPLOAD_BYTES is .* a number above 0, like 16e6"):
        Limits.of({"NST_UPLOAD_BYTES": text})


def test_the_mirror_can_be_switched_off():
    assert Limits.of({"NST_MIRRORS": "0"}).mirrors == 0
    with pytest.raises(SettingsError):
        Limits.of({"NST_MIRRORS": "-1"})


def test_every_limit_can_be_set():
    for field in dataclasses.fields(Limits):
        changed = Limits.of({limits.variable(field.name): "1234.5"})
        assert getattr(changed, field.name) == 1234.5


def test_the_table_of_limits_is_what_they_are():
    assert limits.table() in (ROOT / "SECURITY.md").read_text()


@pytest.mark.parametrize(
    ("amount", "unit", "text"),
    [
        (16e6, "B", "16 MB"), (0, "B", "0 B"), (1e9, "B", "1 GB"), (50.01e6, "B", "50 MB"),
        (999, "B", "999 B"), (21600, "s", "6 h"), (30, "s", "30 s"), (500, "", "500"),
    ],
)  # fmt: skip
def test_amounts_in_words(amount, unit, text):
    assert in_words(amount, unit) == text


@pytest.mark.parametrize(
    ("one", "other", "are_one"),
    [
        ("10.0.0.1", "10.0.0.1", True),
        ("10.0.0.1", "10.0.0.2", False),
        ("2001:db8::1", "2001:db8:0:0:ffff::1", True),  # one network of 64 bits
        ("2001:db8:0:1::1", "2001:db8:0:2::1", False),
        ("::ffff:10.0.0.1", "10.0.0.1", True),
        ("::ffff:10.0.0.1", "::ffff:10.0.0.2", False),
        ("fe80::1%eth0", "fe80::1", True),
        ("testclient", "", False),
    ],
)
def test_whom_addresses_count_as_one(one, other, are_one):
    assert (one_client(one) == one_client(other)) == are_one
