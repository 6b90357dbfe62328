"""Who has which part, where a model's candidates play."""

from penstock_faults.script import Script
from penstock_faults.stage import Stage


def test_whoever_is_asked_first_has_the_first_part_and_a_look_that_names_no_model_has_none():
    first, others = Script(name="first"), Script(name="others")
    stage = Stage(first, others)
    assert stage.part_of("a", "").script is others
    assert stage.part_of("a", "m").script is first
    assert stage.part_of("b", "m").script is others
    assert stage.part_of("a", "m") is stage.part_of("a", "m")
    assert stage.candidates == [("a", "m"), ("b", "m")]
