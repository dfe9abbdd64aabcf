from __future__ import annotations

from tests.unit.edge.conftest import World


def test_a_line_has_what_was_added_and_what_every_line_has(world: World) -> None:
    log = world.log()
    log.add(route="GET /notes", status=200)
    world.clock.advance(1.5)
    log.write("ok")
    assert world.lines == [
        {
            "capability": "notes",
            "request_id": "request-1",
            "correlation_id": "request-1",
            "route": "GET /notes",
            "status": 200,
            "outcome": "ok",
            "duration_ms": 1500,
        }
    ]


def test_metrics_are_in_the_embedded_metric_format(world: World) -> None:
    # Source: CloudWatch User Guide, "Specification: Embedded metric format".
    log = world.log()
    log.count("conflicts", 2)
    log.count("conflicts")
    log.count("retries")
    log.write("ok")
    (line,) = world.lines
    (directive,) = line["_aws"]["CloudWatchMetrics"]
    assert line["_aws"]["Timestamp"] == world.clock.now()
    assert directive["Namespace"] == "Millrace"
    assert {metric["Name"] for metric in directive["Metrics"]} == {"conflicts", "retries"}
    assert {metric["Unit"] for metric in directive["Metrics"]} == {"Count"}
    assert (line["conflicts"], line["retries"]) == (3, 1)
    assert all(name in line for dimensions in directive["Dimensions"] for name in dimensions)


def test_a_metric_that_stays_at_nought_is_not_sent(world: World) -> None:
    log = world.log()
    log.count("conflicts", 0)
    log.write("ok")
    assert not {"_aws", "conflicts"} & set(world.lines[0])


def test_a_line_is_one_line_whatever_is_in_it(world: World) -> None:
    log = world.log()
    log.add(cause="a\nb\r\u2028")
    log.write("ok")
    assert len(world.written[0].splitlines()) == 1
    assert world.lines[0]["cause"] == "a\nb\r\u2028"
