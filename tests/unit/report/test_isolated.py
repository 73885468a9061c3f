"""Work in processes of their own: one that ends its process costs itself alone."""

from __future__ import annotations

import os

from fuzz.report.isolated import in_processes


def work(tasks):
    if 7 in tasks:
        os._exit(3)
    return [task * 10 for task in tasks]


def test_a_task_that_ends_its_process_costs_no_other():
    told = []
    found = in_processes(work, list(range(20)), 2, lambda task: -task, told.append)
    assert found == [-7 if task == 7 else task * 10 for task in range(20)]
    assert sum(told) == 20


def test_nothing_to_do():
    assert in_processes(work, [], 2, lambda task: -task) == []
