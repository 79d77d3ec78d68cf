"""The faults that ``python -m mutation`` plants: its lists speak about the tree as it is."""

import pytest
from mutation.__main__ import HAND, ROOMS, TREE, of_room
from mutation.mutants import of_file


@pytest.mark.parametrize("room", ROOMS)
def test_every_room_has_faults_and_tests(room):
    """Of every file and line that a list names there is one, or drawing says which is missing."""
    by_hand = [old for where, _, old, _ in HAND if where == room]
    found = of_room(room, len(by_hand) + 5, seed=1)
    assert len(found) == len({str(m) for m in found}) == len(by_hand) + 5
    assert all((TREE / "tests" / name).exists() for name in ROOMS[room][1])


def test_a_fault_is_planted_and_its_source_given_back(tmp_path):
    source = "def f(x):\n    return x + 1\n"
    (tmp_path / "f.py").write_text(source)
    texts = []
    for fault in of_file(tmp_path / "f.py", "f.py"):
        assert fault.plant(tmp_path) == source
        texts.append((tmp_path / "f.py").read_text())
        (tmp_path / "f.py").write_text(source)
    assert sorted(texts) == ["def f(x):\n    return x + 2\n", "def f(x):\n    return x - 1\n"]
