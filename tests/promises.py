"""What the README promises, row by row with the tests that inject the fault: `python -m tests.promises`.

Runs every test that is named here, or those whose names contain an argument, the long ones too (minutes), and writes what they print as "figure: …" into
tests/promises.json, from which tests/documents.py makes the README's table. Ends with an error where a
test fails.
"""

from __future__ import annotations

import json
import pathlib
import subprocess
import sys
from typing import NamedTuple

FIGURES = pathlib.Path(__file__).with_suffix(".json")


class Promise(NamedTuple):
    """One row: after what, what is lost at most, and the tests that show it, as file::name."""

    after: str
    lost: str
    tests: tuple[str, ...]


PROMISES = (
    Promise(
        "normal end, `sys.exit`, exception, Ctrl-C, end of a notebook, late threads and `atexit` functions",
        "nothing",
        (
            "test_process.py::test_everything_recorded_is_kept_however_the_program_ends",
            "test_process.py::test_what_late_functions_and_threads_record_is_kept",
            "test_process.py::test_thread_pool_tasks_that_end_late_are_kept",
            "test_interrupts.py::test_a_storm_of_interrupts_locks_nothing_and_loses_nothing_that_was_acknowledged",
            "test_interrupts.py::test_an_interrupted_cell_leaves_the_notebook_and_its_store_usable",
            "test_interrupts.py::test_ctrl_c_while_the_writing_thread_starts_does_not_hold_up_close",
            "test_process.py::test_reloading_the_package_loses_and_doubles_nothing",
        ),
    ),
    Promise(
        "`fork`, `spawn`, `forkserver`, pools, also terminated ones, gunicorn with preload, celery, forks by C code",
        "nothing; parent and child harm each other in no way",
        (
            "test_process.py::test_parent_and_children_of_a_fork_lose_and_double_nothing",
            "test_process.py::test_children_of_multiprocessing_keep_everything",
            "test_servers.py::test_gunicorn_with_preload_keeps_every_request",
            "test_servers.py::test_celery_with_prefork_keeps_every_task",
            "test_process.py::test_pools_that_are_terminated_lose_nothing_that_had_ended",
            "test_process.py::test_executors_and_workers_that_leave_by_os_exit_lose_nothing",
            "test_process.py::test_a_prefork_server_records_in_its_master_and_its_workers",
            "test_process.py::test_a_fork_by_c_code_that_runs_no_hooks_harms_nobody",
            "test_process.py::test_a_search_in_another_thread_while_a_process_forks_costs_the_child_nothing",
        ),
    ),
    Promise(
        "`kill -9`, out-of-memory kill, SIGTERM, SIGHUP, `abort`, `os._exit`",
        "nothing that had ended; a span of a trace that still ran: what ended in the last 50 ms; what had been "
        "open for a second is there as open, with its inputs",
        (
            "test_recorder.py::test_many_killed_processes_lose_and_double_nothing",
            "test_recorder.py::test_killed_processes_whose_files_were_used_again_lose_and_double_nothing",
            "test_recorder.py::test_of_a_file_that_was_used_again_only_whole_frames_of_the_last_time_count",
            "test_recorder.py::test_a_killed_process_loses_nothing_that_had_ended",
            "test_recorder.py::test_each_frame_of_a_spool_is_taken_over_once",
            "test_recorder.py::test_of_a_damaged_spool_the_sound_frames_are_taken",
            "test_recorder.py::test_a_spool_that_cannot_be_read_holds_up_nobody_and_is_named",
            "test_process.py::test_a_killed_process_leaves_what_had_ended_and_what_was_open",
            "test_faults.py::test_a_process_that_is_killed_while_it_makes_the_file_locks_nobody_out",
        ),
    ),
    Promise(
        "power cut, crash of the system",
        "about the last 100 ms; with `TRACESTORE_DURABILITY=power` nothing that `flush()` acknowledged "
        "(shown by counting synchronisations and by making them fail: no power was cut)",
        (
            "test_faults.py::test_one_commit_in_a_while_is_synchronised_and_the_last_one_soon",
            "test_faults.py::test_what_outlives_power_cuts_is_not_acknowledged_before_it_is_on_the_disk",
        ),
    ),
    Promise(
        "disk full, I/O errors, limits of files and sizes",
        "nothing while the queue has room; writing goes on by itself; what can't be written until the end waits "
        "beside the file for the next start",
        (
            "test_faults.py::test_a_full_disk_loses_nothing_and_writing_goes_on_when_there_is_room",
            "test_faults.py::test_io_errors_lose_nothing_and_writing_goes_on_when_they_end",
            "test_faults.py::test_limits_of_the_process_lose_nothing",
            "test_faults.py::test_what_a_broken_disk_kept_from_the_file_is_written_by_the_next_start",
        ),
    ),
    Promise(
        "eight processes on one file at once",
        "nothing; no error reaches a caller, no search waits",
        (
            "test_process.py::test_eight_processes_at_once_keep_two_thousand_traces_each",
            "test_ticket.py::test_saturated_processes_take_turns_and_nobody_starves",
        ),
    ),
    Promise(
        "another process holds the file for long, or was stopped while it wrote",
        "nothing; the program ends in time",
        (
            "test_faults.py::test_close_keeps_its_deadline_while_another_process_holds_the_file",
            "test_ticket.py::test_a_process_that_is_stopped_while_it_writes_stops_no_other_program",
        ),
    ),
    Promise(
        "a reader that stands still",
        "nothing; the WAL grows by what is written meanwhile, and shrinks after",
        ("test_faults.py::test_a_reader_that_holds_an_old_snapshot_costs_wal_only_while_it_does",),
    ),
    Promise(
        "file, WAL or spool deleted, moved or replaced under a program",
        "nothing that ends from the moment on when that is noticed, 25 ms; a moved file holds what was written",
        (
            "test_store.py::test_a_file_that_is_gone_is_noticed_and_a_new_one_made",
            "test_store.py::test_a_file_that_is_moved_or_replaced_without_its_side_files_loses_nothing",
            "test_store.py::test_a_wal_that_is_removed_under_a_program_takes_nothing_with_it",
            "test_recorder.py::test_where_the_files_are_removed_under_a_program_new_ones_keep_what_ends_from_then_on",
        ),
    ),
    Promise(
        "a value that can't be encoded, is slow or too large",
        "that value, which is marked; never the span, the batch or the call",
        (
            "test_encoding.py::test_anything_becomes_json",
            "test_encoding.py::test_only_the_value_at_fault_is_replaced",
            "test_encoding.py::test_objects_that_make_new_objects_without_end_are_cut",
            "test_limits.py::test_a_payload_of_100_mb_is_cut_and_says_so",
        ),
    ),
    Promise(
        "more than the queue takes, for however long",
        "nothing while the spool has room (512 MB): a caller waits a second at most, and the writer reads the spool when "
        "the queue has drained; then, and without a recorder, the newest spans, counted in `stats()` and said once",
        (
            "test_recorder.py::test_a_burst_larger_than_the_queue_is_fed_from_the_spool",
            "test_recorder.py::test_a_burst_larger_than_queue_and_spool_is_dropped_and_counted",
            "test_writer.py::test_a_full_queue_makes_callers_wait_then_drops_counts_and_says_so_once",
        ),
    ),
    Promise(
        "a migration that is killed",
        "nothing: the old file or the new, and a whole copy of the old one",
        (
            "test_faults.py::test_migrations_that_are_interrupted_at_any_statement_leave_the_old_file_or_the_new",
        ),
    ),
    Promise(
        "bit rot, a file that was cut off",
        "what stood there: `check` names spans that are not as recorded, `repair` saves the rest into a new file",
        (
            "test_check.py::test_nearly_every_bit_that_flips_in_a_row_is_found",
            "test_repair.py::test_spans_that_bit_rot_changed_are_saved_and_named_ever_after",
            "test_repair.py::test_what_stood_on_other_pages_is_saved_and_the_rest_is_counted",
            "test_repair.py::test_a_file_that_was_cut_off_keeps_its_beginning",
            "test_check.py::test_damaged_pages_are_findings_and_the_check_goes_on",
        ),
    ),
    Promise(
        "a clock that jumps",
        "nothing; durations are right",
        ("test_faults.py::test_a_clock_that_jumps_makes_no_duration_wrong_and_stops_no_writer",),
    ),
    Promise(
        "a network file system",
        "as above but for kills: no WAL and no spool there, which is said once",
        ("test_faults.py::test_on_a_network_file_system_there_is_no_wal_and_it_is_said_once",),
    ),
)


def table() -> str:
    """Return the README's table: promises, their tests, and what these printed when they ran last."""
    figures: dict[str, list[str]] = json.loads(FIGURES.read_text("utf-8"))
    lines = ["| after | lost at most | measured by | figures |", "|---|---|---|---|"]
    for promise in PROMISES:
        files = sorted({test.partition("::")[0] for test in promise.tests})
        shown = dict.fromkeys(text for test in promise.tests for text in figures.get(test, ()))
        count = len(promise.tests)
        tests = (
            f"{count} test{'s' if count > 1 else ''} in {', '.join(f'`{file}`' for file in files)}"
        )
        lines.append(
            f"| {promise.after} | {promise.lost} | {tests} | {'; '.join([*shown][:6]) or 'passed'} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Run the tests, or those whose names contain an argument, and keep their figures."""
    wanted = sys.argv[1:] or [""]
    found = json.loads(FIGURES.read_text("utf-8")) if FIGURES.exists() else {}
    for test in (test for promise in PROMISES for test in promise.tests):
        if any(part in test for part in wanted):
            found[test] = _figures(test)
            FIGURES.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", "utf-8")
    print(table())


def _figures(test: str) -> list[str]:
    """Run one test, all its variants, and return what it prints as figures."""
    path = FIGURES.parent / test
    command = [sys.executable, "-m", "pytest", "-q", "-s", "-m", "slow or not slow", str(path)]
    done = subprocess.run(
        [*command, "--timeout", "1800"], capture_output=True, text=True, check=False
    )
    print(f"{test}: {done.stdout.strip().splitlines()[-1]}", flush=True)
    if done.returncode != 0:
        raise SystemExit(done.stdout)
    lines = done.stdout.splitlines()
    return [line.partition("figure: ")[2] for line in lines if "figure: " in line]


if __name__ == "__main__":
    main()
