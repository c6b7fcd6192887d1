"""Many values at once: the collector waits, and is left as it was."""

from __future__ import annotations

import gc

import pytest

from harness.bulk import many_values


def test_the_collector_waits_and_comes_back() -> None:
    """It is off inside, and on again behind it, also where something goes wrong."""
    with many_values():
        assert not gc.isenabled()
    assert gc.isenabled()
    with pytest.raises(ValueError, match="invalid literal"), many_values():
        int("odd")
    assert gc.isenabled()


def test_a_collector_that_was_off_stays_off() -> None:
    """Whoever turned it off has it off."""
    gc.disable()
    try:
        with many_values():
            assert not gc.isenabled()
        assert not gc.isenabled()
    finally:
        gc.enable()
