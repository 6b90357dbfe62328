"""What reads prompts for the router: the settings of the classifier, and how long it waits for a vector."""

from array import array
from datetime import timedelta
from importlib.resources import files

import pytest

from penstock_common.configuration import ConfigurationError
from penstock_common.contract.embedding import EmbedResponse, TextVector
from penstock_common.contract.router import Subject
from penstock_common.errors import DeadlineExceeded, ServiceUnavailable
from penstock_common.routes import TASKS
from penstock_router.adapters.embedding import COOL_DOWN, EmbeddingClient
from penstock_router.configured import readers_from
from penstock_router.settings import ClassifierSettings

FACT = Subject("Who wrote Faust?")
VECTOR = array("f", [0.5, 0.5])


class Service:
    """The embedding service behind a channel, which answers or fails as it is told."""

    def __init__(self):
        self.outcomes, self.timeouts = [], []

    async def call(self, method, request, *, timeout):  # noqa: ASYNC109 - a channel's own word
        self.timeouts.append(timeout)
        outcome = self.outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return EmbedResponse(vectors=outcome, model="m", revision="1", upstream="local", input_tokens=1)


@pytest.fixture
def service():
    return Service()


def client(service, clock=lambda: 0.0):
    return EmbeddingClient(service, timedelta(milliseconds=50), clock)


async def test_a_vector_may_take_so_long_and_no_longer(service):
    service.outcomes = [[TextVector(VECTOR, False)]]
    assert await client(service).vector_of("Why?") == VECTOR
    assert service.timeouts == [0.05]


@pytest.mark.parametrize("error", [DeadlineExceeded("late"), ServiceUnavailable("away", service="embedding")])
async def test_a_service_that_fails_is_none_and_is_left_alone_for_a_moment(service, error):
    now = [0.0]
    asking = client(service, lambda: now[0])
    service.outcomes = [error, [TextVector(VECTOR, False)]]
    assert await asking.vector_of("Why?") is None
    assert await asking.vector_of("Why?") is None
    assert len(service.timeouts) == 1
    now[0] = COOL_DOWN.total_seconds()
    assert await asking.vector_of("Why?") == VECTOR


async def test_an_answer_without_a_vector_is_none(service):
    service.outcomes = [[]]
    assert await client(service).vector_of("Why?") is None


@pytest.mark.parametrize("name", ["task_confidence", "complexity_confidence"])
def test_how_sure_it_has_to_be_is_a_setting(name):
    def reading(settings):
        return readers_from(settings)[0].classify(FACT, None, has_tools=False, has_images=False)

    assert not reading(ClassifierSettings()).abstains
    assert reading(ClassifierSettings(**{name: 1.0})).abstains


@pytest.mark.parametrize("name", ["weights", "shadow"])
@pytest.mark.parametrize("content", [None, b"no weights"])
def test_weights_that_cannot_be_used_are_told_by_their_key(tmp_path, content, name):
    path = tmp_path / "own.npz"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigurationError, match=rf"'router\.classifier\.{name}'"):
        readers_from(ClassifierSettings(**{name: path}))


def test_a_shadow_is_read_of_its_file_and_there_is_none_without_one(tmp_path):
    path = tmp_path / "next.npz"
    path.write_bytes(files("penstock_router.domain.classification").joinpath("weights.npz").read_bytes())
    decides, shadow = readers_from(ClassifierSettings(shadow=path))
    assert shadow is not None
    assert shadow.version == decides.version
    assert readers_from(ClassifierSettings())[1] is None


def test_routes_may_name_the_tasks_that_the_shipped_weights_know():
    assert set(readers_from(ClassifierSettings())[0].tasks) == set(TASKS)
