"""Compiles every stored policy as a worker would and reports faults and oddities; fails when a policy is unusable."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from limiter.policies.check import CheckedPolicy, check_policies

HEAD = ("policy", "version", "mode", "limits", "applies to", "result")


class Command(BaseCommand):
    help = "Compile every stored policy as a worker would. Exit status 1 when one cannot be used."

    def handle(self, *args: Any, **options: Any) -> None:
        report = check_policies()
        for line in _table([HEAD, *map(_cells, report.policies)]):
            self.stdout.write(line)
        for warning in report.warnings:
            self.stdout.write(self.style.WARNING(f"warning: {warning}"))
        if report.problems:
            raise CommandError("\n".join(report.problems))


def _cells(policy: CheckedPolicy) -> tuple[str, ...]:
    result = "cannot be used" if policy.problem else "ok"
    return policy.name, str(policy.version), policy.mode, str(policy.limits), policy.applies_to, result


def _table(rows: list[tuple[str, ...]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
