"""Who waits for an upstream, and in which order: class by class, tenants in turn, each tenant's oldest first. Pure."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable

import msgspec

from penstock_common.priority import Priority


class Ticket(msgspec.Struct, eq=False):
    """One that waits: whose it is, until when it makes sense (on the queue's clock), and whom to tell.

    ``tell`` is called once, with True where it may go in, and False where it was shed; it returns whether anybody heard.
    """

    tenant: str
    priority: Priority
    due: float
    tokens: int
    tell: Callable[[bool], bool]
    is_waiting: bool = True


class FairQueue:
    """At most ``most`` wait. Whoever comes when it is full takes the place of one of a lower class, or is turned away.

    Of a lower class the one is shed that came last, of the tenant with the most waiting: it has waited least, and no tenant with
    one request pays for another's thousand.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._classes: dict[Priority, OrderedDict[str, deque[Ticket]]] = {each: OrderedDict() for each in Priority}
        self._waiting = 0

    def __len__(self) -> int:
        return self._waiting

    def push(self, ticket: Ticket) -> bool:
        """Let one wait; return whether there is room."""
        if self._waiting >= self._most and not self._shed_below(ticket.priority):
            return False
        tenants = self._classes[ticket.priority]
        if ticket.tenant not in tenants:
            tenants[ticket.tenant] = deque()
        tenants[ticket.tenant].append(ticket)
        self._waiting += 1
        return True

    def first(self, now: float) -> Ticket | None:
        """Return who is next, who stays where it is; those whose time has passed are gone."""
        for priority in Priority:
            tenants = self._classes[priority]
            while tenants:
                tenant, tickets = next(iter(tenants.items()))
                if not tickets[0].is_waiting or tickets[0].due <= now:
                    self._take_from(priority, tenant).is_waiting = False
                    continue
                return tickets[0]
        return None

    def pop(self, ticket: Ticket) -> None:
        """Take out who is next, of whose tenant another is served after all other tenants."""
        taken = self._take_from(ticket.priority, ticket.tenant)
        assert taken is ticket, "it is next"
        ticket.is_waiting = False

    def leave(self, ticket: Ticket) -> None:
        """Take one out that does not wait any longer."""
        tickets = self._classes[ticket.priority].get(ticket.tenant)
        if ticket.is_waiting and tickets is not None:
            tickets.remove(ticket)
            ticket.is_waiting = False
            self._waiting -= 1
            if not tickets:
                del self._classes[ticket.priority][ticket.tenant]

    def _take_from(self, priority: Priority, tenant: str) -> Ticket:
        tenants = self._classes[priority]
        tickets = tenants[tenant]
        ticket = tickets.popleft()
        self._waiting -= 1
        if tickets:
            tenants.move_to_end(tenant)
        else:
            del tenants[tenant]
        return ticket

    def _shed_below(self, priority: Priority) -> bool:
        for lower in sorted(Priority, reverse=True):
            if lower <= priority:
                return False
            tenants = self._classes[lower]
            if tenants:
                tenant = max(tenants, key=lambda name: len(tenants[name]))
                ticket = tenants[tenant][-1]
                self.leave(ticket)
                ticket.tell(False)
                return True
        return False
