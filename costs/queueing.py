"""How many machines random arrivals need, by Erlang's formulas."""

from itertools import count


def refused(servers: int, load: float) -> float:
    """Share of arrivals that find every server busy and go away: Erlang B, by its recursion.

    `load` is arrivals per minute times minutes of service.
    """
    share = 1.0
    for number in range(1, servers + 1):
        share = load * share / (number + load * share)
    return share


def servers_for(load: float, at_most: float) -> int:
    """The fewest servers that refuse no more than `at_most` of the arrivals; at least one."""
    share = 1.0
    for number in count(1):
        share = load * share / (number + load * share)
        if share <= at_most:
            return number
    raise AssertionError("unreachable")


def mean_wait(servers: int, load: float, service: float) -> float:
    """Mean wait in a queue before `servers`, in the unit of `service`, which is the same for every arrival.

    Erlang C gives it for service times that vary at random; constant ones wait half as long (exact for one server,
    Pollaczek-Khinchine; close for several).
    """
    use = load / servers
    if use >= 1:
        raise ValueError("A queue that gets more than its servers can do waits without end.")
    blocked = refused(servers, load)
    waiting = blocked / (1 - use * (1 - blocked))
    return waiting * service / (servers * (1 - use)) / 2
