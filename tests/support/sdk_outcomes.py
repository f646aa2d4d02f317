"""What an SDK's calls came to."""

from typing import Any


def values_of(outcomes: list[Any]) -> list[Any]:
    assert [one.get("error") for one in outcomes] == [None] * len(outcomes), outcomes
    return [one["value"] for one in outcomes]


def data_of(outcomes: list[Any]) -> list[Any]:
    assert [one["value"]["status"] for one in outcomes] == ["ok"] * len(outcomes), outcomes
    return [one["value"]["data"] for one in outcomes]
