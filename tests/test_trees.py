"""Structures of several inputs and outputs: taken apart level by level, and put together again."""

import pytest

from kerasish.trees import arranged, parts_of


@pytest.mark.parametrize("tree", [
    {"a": (2, 3), "b": None}, ((2, 3), None, {"a": ()}), {}, (),
    {"a": {"b": (1, 2)}, "c": [(3,)]},
], ids=repr)
def test_parts_go_back_to_where_they_were(tree) -> None:
    parts = parts_of(tree)
    assert len(parts) == len(tree) and arranged(tree, iter(parts)) == tree


def test_the_keys_of_a_dict_keep_their_order_and_a_list_becomes_a_tuple() -> None:
    assert list(arranged({"b": 0, "a": 0}, [1, 2]).items()) == [("b", 1), ("a", 2)]
    assert arranged([0, 0], [None, (1,)]) == (None, (1,))


@pytest.mark.parametrize("parts", [[1], [1, 2, 3]], ids=str)
def test_a_key_without_a_part_or_a_part_without_a_key_is_an_error(parts: list[int]) -> None:
    with pytest.raises(ValueError, match=r"argument 2 is (shorter|longer)"):
        arranged({"a": 0, "b": 0}, parts)
