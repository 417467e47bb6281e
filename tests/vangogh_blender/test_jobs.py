"""The state machine: what it does step by step, and what holds whatever happens."""

from hypothesis import given
from hypothesis import strategies as st
from vangogh_says_hello.fomm_core import protocol
from vangogh_says_hello.vangogh_blender import jobs
from vangogh_says_hello.vangogh_blender.jobs import Phase, State, Worker, transition

REQUEST = protocol.Job(painting="p.png", video="v.mp4", output="out")
HELLO = protocol.Hello(protocol.PROTOCOL, "0.1.0", [protocol.Device("cpu", "CPU")])
PROGRESS = protocol.Progress("a", "frames", 3, 12, 20.0, 0.5)


def run(*events, state=None):
    """The state and the effects of the last event, after all of them."""
    state, effects = state or State(), ()
    for event in events:
        state, effects = transition(state, event)
    return state, effects


def asked(job_id="a"):
    return jobs.Asked(job_id, f"job {job_id}", REQUEST)


def received(message):
    return jobs.Received(message)


def test_the_first_job_starts_the_worker_and_is_sent_at_hello():
    state, effects = run(asked())
    assert effects == (jobs.StartWorker(),)
    assert (state.job("a").phase, state.worker) == (Phase.STARTING, Worker.STARTING)
    state, effects = run(received(HELLO), state=state)
    assert effects == (jobs.Send(protocol.Animate("a", REQUEST)),)
    assert (state.worker, state.version, state.devices) == (Worker.READY, "0.1.0", tuple(HELLO.devices))


def test_progress_and_done():
    state, _ = run(asked(), received(HELLO), received(PROGRESS))
    job = state.job("a")
    assert (job.phase, job.stage, job.done, job.total, job.fps, job.eta) == (
        Phase.RUNNING, "frames", 3, 12, 20.0, 0.5,
    )  # fmt: skip
    state, _ = run(received(protocol.Frame("a", 3, "0003.png")), state=state)
    assert state.job("a").frames == 3
    state, effects = run(received(protocol.Done("a", "frames", 12, 25.0, 1.0)), state=state)
    assert effects == (jobs.ShowFrames("a"),)
    assert (state.job("a").phase, state.job("a").frames) == (Phase.DONE, 12)


def test_the_second_job_waits_and_follows_in_the_same_worker():
    state, effects = run(asked("a"), asked("b"))
    assert effects == ()
    assert state.job("b").phase is Phase.WAITING
    state, effects = run(received(HELLO), received(protocol.Done("a", "frames", 12, 25.0, 1.0)), state=state)
    assert effects == (jobs.ShowFrames("a"), jobs.Send(protocol.Animate("b", REQUEST)))
    assert state.job("b").phase is Phase.STARTING


def test_cancel_of_a_running_job_asks_the_worker_and_the_next_job_follows():
    state, effects = run(asked("a"), asked("b"), received(HELLO), received(PROGRESS), jobs.CancelAsked("a"))
    assert effects == (jobs.Send(protocol.Cancel("a")),)
    assert state.job("a").phase is Phase.CANCELLING
    state, effects = run(received(protocol.Cancelled("a", 5)), state=state)
    assert (state.job("a").phase, state.job("a").frames) == (Phase.CANCELLED, 5)
    assert effects == (jobs.Send(protocol.Animate("b", REQUEST)),)


def test_cancel_asked_twice_stops_the_worker_and_the_next_job_gets_a_new_one():
    state, effects = run(
        asked("a"), asked("b"), received(HELLO), jobs.CancelAsked("a"), jobs.CancelAsked("a")
    )
    assert state.job("a").phase is Phase.CANCELLED
    assert effects == (jobs.StopWorker(), jobs.StartWorker())
    assert state.job("b").phase is Phase.STARTING


def test_cancel_of_a_waiting_job_says_nothing_to_the_worker():
    state, effects = run(asked("a"), asked("b"), received(HELLO), jobs.CancelAsked("b"))
    assert effects == ()
    assert (state.job("b").phase, state.job("a").phase) == (Phase.CANCELLED, Phase.STARTING)


def test_cancel_before_hello_sends_nothing_to_the_worker_ever():
    state, effects = run(asked("a"), jobs.CancelAsked("a"))
    assert effects == ()
    state, effects = run(received(HELLO), state=state)
    assert effects == ()
    assert state.job("a").phase is Phase.CANCELLED


def test_done_that_crosses_a_cancel_shows_nothing():
    state, effects = run(
        asked(), received(HELLO), jobs.CancelAsked("a"), received(protocol.Done("a", "frames", 12, 25.0, 1.0))
    )
    assert effects == ()
    assert state.job("a").phase is Phase.DONE


def test_a_lost_worker_fails_its_job_once_and_the_next_job_gets_a_new_worker():
    lost = jobs.WorkerLost("It was killed.", "Look at the log.")
    state, effects = run(asked("a"), asked("b"), received(HELLO), received(PROGRESS), lost)
    assert (state.job("a").phase, state.job("a").sentence) == (Phase.FAILED, "It was killed.")
    assert effects == (jobs.Report("ERROR", "job a: It was killed.", "Look at the log."), jobs.StartWorker())
    assert (state.job("b").phase, state.worker) == (Phase.STARTING, Worker.STARTING)


def test_a_lost_idle_worker_is_nobodys_business():
    done = received(protocol.Done("a", "frames", 12, 25.0, 1.0))
    state, effects = run(asked(), received(HELLO), done, jobs.WorkerLost("It ended."))
    assert effects == ()
    assert (state.job("a").phase, state.worker) == (Phase.DONE, Worker.OFF)
    _, effects = run(asked("b"), state=state)
    assert effects == (jobs.StartWorker(),)


def test_a_python_without_torch_fails_the_job_with_the_workers_own_words():
    error = protocol.Error("", "runtime", "This Python has no torch.", "Install torch.")
    state, effects = run(asked(), received(error))
    assert (state.job("a").sentence, state.job("a").hint) == ("This Python has no torch.", "Install torch.")
    assert jobs.StopWorker() in effects
    assert state.worker is Worker.OFF


def test_a_worker_of_another_protocol_is_stopped():
    state, effects = run(asked(), received(protocol.Hello(protocol.PROTOCOL + 1, "9")))
    assert state.job("a").phase is Phase.FAILED
    assert effects[0] == jobs.StopWorker()


def test_warnings_and_notes_stay_with_the_job_that_goes_on():
    state, effects = run(
        asked(), received(HELLO), received(PROGRESS), received(protocol.Warning("a", "No face found."))
    )
    assert effects == (jobs.Report("WARNING", "job a: No face found."),)
    state, _ = run(jobs.Noted("a", "The painting was removed."), state=state)
    assert state.job("a").warnings == ("No face found.", "The painting was removed.")
    assert state.job("a").phase is Phase.RUNNING


def test_a_job_that_is_over_can_be_asked_for_again_and_forgotten():
    state, _ = run(asked(), jobs.CancelAsked("a"), asked())
    assert [(job.id, job.phase) for job in state.jobs] == [("a", Phase.STARTING)]
    state, _ = run(jobs.Forgotten("a"), state=state)
    assert state.job("a")  # it runs: not forgotten
    state, _ = run(jobs.CancelAsked("a"), jobs.Forgotten("a"), state=state)
    assert state.jobs == ()


PREPARE = protocol.Prepare("", REQUEST)


def test_what_is_expected_starts_the_worker_and_is_prepared_at_hello():
    state, effects = run(jobs.Expected(REQUEST))
    assert effects == (jobs.StartWorker(),)
    state, effects = run(received(HELLO), state=state)
    assert effects == (jobs.Send(PREPARE),)
    _, effects = run(received(protocol.Prepared("", ready=True)), state=state)
    assert effects == (), "once"


def test_what_is_expected_while_a_job_runs_is_prepared_after_it_and_only_the_last():
    later = protocol.Job(painting="p.png", video="later.mp4", output="")
    state, effects = run(asked(), received(HELLO), jobs.Expected(REQUEST), jobs.Expected(later))
    assert effects == ()
    _, effects = run(received(protocol.Done("a", "frames", 12, 25.0, 1.0)), state=state)
    assert effects == (jobs.ShowFrames("a"), jobs.Send(protocol.Prepare("", later)))


def test_a_job_that_is_asked_for_is_expected_no_longer():
    _, effects = run(jobs.Expected(REQUEST), asked(), received(HELLO))
    assert effects == (jobs.Send(protocol.Animate("a", REQUEST)),)


def test_a_worker_that_is_lost_before_it_prepares_is_not_started_again_and_nobody_is_told():
    error = protocol.Error("", "runtime", "This Python has no torch.", "Install torch.")
    for lost, effects in ((jobs.WorkerLost("It ended."), ()), (received(error), (jobs.StopWorker(),))):
        state, found = run(jobs.Expected(REQUEST), lost)
        assert found == effects
        assert (state.worker, state.expected) == (Worker.OFF, None)


ids = st.sampled_from(["a", "b", "c"])
events = st.one_of(
    st.builds(asked, ids),
    st.builds(jobs.CancelAsked, ids),
    st.builds(jobs.Expected, st.just(REQUEST)),
    st.builds(jobs.Forgotten, ids),
    st.builds(jobs.Noted, ids, st.just("Something.")),
    st.just(jobs.WorkerLost("Gone.")),
    st.builds(
        jobs.Received,
        st.one_of(
            st.just(HELLO),
            st.just(protocol.Hello(99, "9")),
            st.just(protocol.Devices([])),
            st.builds(protocol.Started, ids, st.just(12), st.just(25.0), st.just(8), st.just(8)),
            st.builds(
                protocol.Progress, ids, st.sampled_from(protocol.STAGES), st.integers(0, 12), st.just(12)
            ),
            st.builds(protocol.Frame, ids, st.integers(1, 12), st.just("f.png")),
            st.builds(protocol.Done, ids, st.just("frames"), st.just(12), st.just(25.0), st.just(1.0)),
            st.builds(protocol.Cancelled, ids, st.integers(0, 12)),
            st.builds(protocol.Prepared, st.just(""), st.booleans()),
            st.builds(protocol.Error, st.one_of(ids, st.just("")), st.just("internal"), st.just("Bad.")),
        ),
    ),
)


@given(st.lists(events, max_size=40))
def test_whatever_happens(sequence):
    state, running, with_worker = State(), False, set()
    for event in sequence:
        before = state
        state, effects = transition(state, event)
        assert sum(job.phase in jobs.ACTIVE for job in state.jobs) <= 1
        assert len({job.id for job in state.jobs}) == len(state.jobs)
        # Nobody waits while nothing runs, and whoever is active has a worker or one that is starting.
        assert state.active or not any(job.phase is Phase.WAITING for job in state.jobs)
        assert not state.active or state.worker is not Worker.OFF
        for job in before.jobs:
            after = state.job(job.id)
            again = isinstance(event, jobs.Asked) and event.id == job.id
            if job.over and not again and after:
                assert after.phase is job.phase
            assert after or isinstance(event, jobs.Forgotten)
        # Effects make sense to a process: started when there is none, sent to when it has said hello.
        if isinstance(event, jobs.WorkerLost):
            running, with_worker = False, set()
        for effect in effects:
            if isinstance(effect, jobs.StartWorker):
                assert not running
                running = True
            elif isinstance(effect, jobs.StopWorker):
                running, with_worker = False, set()
            elif isinstance(effect, jobs.Send):
                assert running
                if isinstance(effect.message, protocol.Animate):
                    with_worker.add(effect.message.id)
                elif isinstance(effect.message, protocol.Prepare):
                    assert state.active is None
                else:
                    assert effect.message.id in with_worker


@given(st.lists(st.tuples(st.sampled_from("abcd"), st.integers(-5, 5)), max_size=8))
def test_moving_jobs_loses_none_and_moves_only_those_that_wait(moves):
    state, _ = run(*(asked(job_id) for job_id in "abcd"), received(HELLO))
    for job_id, places in moves:
        before = [job.id for job in state.jobs]
        state, effects = transition(state, jobs.Moved(job_id, places))
        after = [job.id for job in state.jobs]
        assert effects == ()
        assert sorted(after) == sorted(before)
        assert after[0] == "a", "it is under way"
        if job_id != "a":
            assert after.index(job_id) == min(max(before.index(job_id) + places, 1), 3)
