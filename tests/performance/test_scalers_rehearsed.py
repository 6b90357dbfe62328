"""The chart's scalers, rehearsed in short; bench/autoscaling has the long form. Nothing runs but arithmetic."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "bench"))
from autoscaling.demand import questions, values  # noqa: E402
from autoscaling.hpa import Behavior, HorizontalPodAutoscaler, Policy, Rules, by_average, by_pods, by_ratio  # noqa: E402
from autoscaling.keda import Fallback, ScaledObject  # noqa: E402
from autoscaling.kinds import BY_NAME  # noqa: E402
from autoscaling.loads import read, steady, synthetic, write  # noqa: E402
from autoscaling.promql import Prometheus  # noqa: E402
from autoscaling.rehearsal import Rehearsal, summary  # noqa: E402
from autoscaling.service import Service  # noqa: E402

NOT_LIMITED = Rules(0, (Policy("Percent", 1000, 15),))


def rehearsed(name, shape, minutes, how="keda", **more):
    kind = BY_NAME[name]
    return Rehearsal(kind, how, **more).run(synthetic(shape, minutes, kind.base, seed=1))


def jump(minute):
    return 10.0 if 5 <= minute < 12 else 1.0


# https://kubernetes.io/docs/concepts/workloads/autoscaling/horizontal-pod-autoscale/


@pytest.mark.parametrize(
    ("current", "measured", "wanted"),
    [(3, 200, 6), (4, 50, 2), (5, 50, 3), (10, 110, 10), (10, 90, 10), (10, 111, 12), (10, 89, 9)],
)
def test_twice_the_target_doubles_half_of_it_halves_and_a_tenth_does_nothing(current, measured, wanted):
    assert by_ratio(current, measured, 100) == by_pods(current, [measured / 100] * current, 0, 1.0) == wanted
    assert by_average(current, measured * current, 100) == wanted


def test_pods_without_metrics_count_for_less_where_more_are_wanted_and_in_full_where_fewer_are():
    assert by_pods(4, [2.0, 2.0, None, None], 0, 0.5) == 8
    assert by_pods(4, [0.1, 0.1, None, None], 0, 0.5) == 4, "the direction would turn"
    assert by_pods(4, [0.05, 0.05, 0.05, None], 0, 0.5) == 3
    assert by_pods(4, [1.0, 1.0], 2, 0.5) == 4, "those that start are the remedy"
    assert by_pods(4, [2.0, 2.0], 2, 0.5) == 8
    assert by_pods(4, [0.1, 0.1], 2, 0.5) == 1, "of those not ready nothing is known when fewer are wanted"
    assert by_pods(4, [None] * 4, 0, 0.5) is None


def looks(scaler, current, wanted, times, every):
    found = [current]
    for look in range(times):
        found.append(scaler.look(look * every, found[-1], [wanted]))
    return found


def test_policies_let_go_as_the_documentation_counts_and_grow_as_its_defaults_do():
    rules = Rules(0, (Policy("Pods", 4, 60), Policy("Percent", 10, 60)))
    down = HorizontalPodAutoscaler(1, 100, Behavior(NOT_LIMITED, rules))
    assert looks(down, 80, 10, 9, 60) == [80, 72, 64, 57, 51, 45, 40, 36, 32, 28]
    up = HorizontalPodAutoscaler(1, 100, Behavior.of(values()["scaling"]))
    assert looks(up, 1, 60, 6, 15) == [1, 5, 10, 20, 40, 60, 60]
    within_a_period = HorizontalPodAutoscaler(1, 100, Behavior.of(values()["scaling"]))
    assert looks(within_a_period, 2, 60, 3, 5) == [2, 6, 6, 6], "a policy counts what was done within its period"


def test_the_most_that_was_wanted_within_the_window_stays():
    scaler = HorizontalPodAutoscaler(1, 100, Behavior(NOT_LIMITED, Rules(300, (Policy("Percent", 100, 15),))))
    assert scaler.look(0, 5, [8]) == 8
    assert [scaler.look(at, 8, [3]) for at in (15, 150, 285)] == [8, 8, 8]
    assert scaler.look(300, 8, [3]) == 3


def test_what_cannot_be_measured_never_takes_a_pod_away_and_may_still_add_one():
    scaler = HorizontalPodAutoscaler(1, 100, Behavior(NOT_LIMITED, NOT_LIMITED))
    assert [scaler.look(0, 5, each) for each in ([None], [None, 3], [3, None], [None, 7], [3, 4])] == [5, 5, 5, 7, 4]


# https://keda.sh/docs/latest/reference/scaledobject-spec/


def polled(scaled, now, current, value):
    return scaled.poll(now, current, {"only": scaled.observe("only", value, 10.0, current)})


def test_none_are_left_after_the_cooldown_and_one_is_woken_by_anything():
    scaled = ScaledObject(0, 300, None)
    assert polled(scaled, 0, 0, 0.0) == 0
    assert polled(scaled, 5, 0, 0.01) == 1
    assert polled(scaled, 10, 1, 3.0) == 1
    assert [polled(scaled, at, 1, 0.0) for at in (15, 310, 311)] == [1, 1, 0]


def test_a_prometheus_that_is_away_wakes_no_gpu_and_takes_none_away():
    scaled = ScaledObject(0, 300, None)
    assert [polled(scaled, at, 0, None) for at in range(0, 900, 5)] == [0] * 180
    assert [polled(scaled, at, 2, None) for at in range(0, 900, 5)] == [2] * 180
    with_fallback = ScaledObject(0, 300, Fallback(3, 0, "currentReplicasIfHigher"))
    assert [polled(with_fallback, at, 0, None) for at in (0, 5, 10, 15)] == [0, 0, 0, 1], (
        "why the chart has none from none"
    )


def test_the_fallback_comes_after_its_failures_and_goes_with_the_first_answer():
    scaled = ScaledObject(2, 300, Fallback(3, 2, "currentReplicasIfHigher"))
    assert [scaled.observe("x", None, 200.0, 7).value for _ in range(4)] == [None, None, None, 1400.0]
    assert scaled.observe("x", 10.0, 200.0, 7).value == 10.0
    assert scaled.observe("x", None, 200.0, 7).value is None


def test_queries_are_answered_as_prometheus_answers():
    prometheus = Prometheus()
    for at in range(0, 121, 15):
        old = [("inside", {"pod": "a"}, 10.0)] if at < 60 else []
        prometheus.scrape(at, [*old, ("inside", {"pod": "b"}, float(at)), ("all_total", {"pod": "b"}, 2.0 * at)])
    assert prometheus.ask("sum(inside)", 120) == 120, "what has gone is stale"
    assert prometheus.ask("sum(max_over_time(inside[30s]))", 120) == 120
    assert prometheus.ask("sum(avg_over_time(inside[2m]))", 120) == 10 + sum(range(15, 121, 15)) / 8
    assert prometheus.ask("sum(avg_over_time((inside + inside)[30s:15s]))", 120) == 225
    assert prometheus.ask("sum(rate(all_total[1m]))", 120) == pytest.approx(2.0)
    assert prometheus.ask("sum(gone) or 0 * max(inside)", 120) == 0
    assert prometheus.ask("count(inside == 120) * 3", 120) == 3
    assert prometheus.ask("sum(gone)", 120) is None
    prometheus.away = True
    assert prometheus.ask("sum(inside)", 120) is None
    with pytest.raises(ValueError, match="not understood"):
        Prometheus().ask("sum(inside) % 2", 120)


def test_requests_that_new_pods_took_over_are_counted_once():
    prometheus = Prometheus()
    for at in range(0, 121, 15):
        loads = [800.0] if at < 60 else [100.0] * 8
        prometheus.scrape(at, [("inside", {"pod": str(pod)}, load) for pod, load in enumerate(loads)])
    assert prometheus.ask("avg_over_time(sum(inside)[2m:15s])", 120) == 800
    assert prometheus.ask("sum(avg_over_time(inside[2m]))", 120) > 1000
    chart = values({"triton": {"autoscaling": {"upstreams": ["gpu"]}}})
    assert not [
        q for role in ("gateway", "triton") for q in questions(role, chart) if q.query.startswith("sum(avg_over_time")
    ]


def test_who_matters_more_takes_the_place_of_who_came_last_of_those_who_matter_less():
    kind = replace(BY_NAME["triton"], room=10, at_once=1)
    service = Service(kind, 1)
    service.tick(0, (0, 5, 6))
    assert service.dropped == [0, 0, 0]
    service.tick(1, (0, 0, 3))
    assert service.dropped == [0, 0, 3], "nobody is put out for one of the same class"
    service.tick(2, (8, 0, 0))
    assert service.dropped == [0, 2, 9]
    assert service.queued == 10


def test_every_question_of_the_chart_has_an_answer_in_the_rehearsal():
    for name in ("gateway", "triton"):
        moments = rehearsed(name, steady, 3)
        assert moments[-1].dropped == (0, 0, 0)
    chart = values({"triton": {"autoscaling": {"upstreams": ["gpu"], "publicModels": ["chat"]}}})
    assert len(questions("gateway", chart)) == 3
    assert len(questions("triton", chart)) == 6


@pytest.mark.parametrize("how", ["keda", "hpa"])
@pytest.mark.parametrize("name", ["gateway", "gateway-short", "triton"])
def test_a_steady_load_is_left_alone(name, how):
    moments = rehearsed(name, steady, 12, how)
    found = summary(moments)
    assert (sum(found.dropped.values()), found.turns) == (0, 0)
    assert len({moment.wanted for moment in moments[5 * 4 :]}) == 1


@pytest.mark.parametrize("name", ["gateway", "gateway-short", "triton"])
def test_ten_times_the_load_costs_no_critical_request_and_what_was_added_goes_again(name):
    moments = rehearsed(name, jump, 26)
    before = moments[5 * 4 - 1].wanted
    found = summary(moments)
    assert found.dropped["critical"] == 0
    assert found.most >= 5 * before
    assert found.turns == 1
    assert before <= moments[-1].wanted <= before + 1, "from above a tenth of tolerance ends one pod later"
    if name == "triton":
        assert (
            found.dropped["sheddable"] / found.came["sheddable"] > found.dropped["default"] / found.came["default"] > 0
        )


@pytest.mark.parametrize(("name", "how"), [("gateway", "keda"), ("triton", "keda"), ("triton", "hpa")])
def test_while_prometheus_is_away_nobody_is_taken_away(name, how):
    moments = rehearsed(name, jump, 19, how, away=lambda second: second >= 11 * 60)
    high = moments[11 * 4 - 1].wanted
    assert high > 2 * moments[0].wanted
    assert all(moment.wanted >= high for moment in moments[11 * 4 :])


def test_a_record_is_read_as_it_was_written_and_a_wrong_line_is_named(tmp_path):
    path = tmp_path / "arrivals.csv"
    arrivals = synthetic(jump, 1, 3.0, seed=5)
    write(path, arrivals)
    again = read(path)
    assert again == arrivals[: len(again)]
    assert not any(map(any, arrivals[len(again) :]))
    path.write_text("second,critical,default,sheddable\n0,1,2,3\n1,one,2,3\n")
    with pytest.raises(ValueError, match=r"arrivals\.csv:3: "):
        read(path)
    path.write_text("second,critical,default,sheddable\n0,1,2\n")
    with pytest.raises(ValueError, match="four whole numbers"):
        read(path)
    path.write_text("time,count\n")
    with pytest.raises(ValueError, match="first line"):
        read(path)


def test_the_same_seed_gives_the_same_figures_and_the_record_the_same_rehearsal(tmp_path):
    kind = BY_NAME["triton"]
    arrivals = synthetic(jump, 8, kind.base, seed=3)
    write(tmp_path / "a.csv", arrivals)
    assert arrivals == synthetic(jump, 8, kind.base, seed=3)
    assert Rehearsal(kind).run(read(tmp_path / "a.csv")) == Rehearsal(kind).run(arrivals)
