"""Federated transfer: several clients train one network, and no example leaves the client that holds it.

A client gets weights, trains them on its own examples and sends them back; the server takes their mean, weighted by
the numbers of examples, and the next round begins (FedAvg; McMahan et al., 2017, arXiv:1602.05629). This needs no
package beside tlkit:

    plan = Plan(share="head")
    member = Member(plan, n_classes=10)
    weights = member.shared()
    for round_number in range(1, 11):
        updates = [(member.train(weights, split, client=i, round_number=round_number), len(split))
                   for i, split in enumerate(splits)]
        weights = average(updates)

Between processes and machines the rounds are run by Flower (https://flower.ai, Apache-2.0), which the extra
``federated`` installs: ``tlkit federate``, and ``tlkit.federated.flower`` for apps of your own.
"""

from tlkit.federated.clients import HANDS, deal, hand
from tlkit.federated.member import SHARES, Member, Plan, average, payload_bytes, refusal

__all__ = ["HANDS", "SHARES", "Member", "Plan", "average", "deal", "hand", "payload_bytes", "refusal"]
