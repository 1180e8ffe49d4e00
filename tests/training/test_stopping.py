import os
import signal
import threading

import pytest

from lowkey.training.stopping import Interrupted, StopSignals


def send(number=signal.SIGTERM):
    os.kill(os.getpid(), number)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_sets_the_flag_and_no_more(number):
    before = signal.getsignal(number)
    with StopSignals() as signals:
        signals.check()
        send(number)
        assert signals.received == number.name
        with pytest.raises(Interrupted):
            signals.check()
    assert signal.getsignal(number) is before


def test_what_is_interruptible_breaks_off_at_once():
    reached = []

    def evaluate(signals):
        with signals.interruptible():
            reached.append("before")
            try:
                send()
            except Exception:
                pytest.fail("taken for a failure")
            reached.append("after")

    with StopSignals() as signals:
        with pytest.raises(Interrupted):
            evaluate(signals)
        with pytest.raises(Interrupted):
            evaluate(signals)
    assert reached == ["before"]


@pytest.mark.parametrize("second", [signal.SIGINT, signal.SIGTERM])
def test_the_second_signal_ends_the_process(second):
    pid = os.fork()
    if pid == 0:
        with StopSignals():
            send(signal.SIGTERM)
            send(second)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -second


def test_a_job_in_the_background_stays_deaf_to_ctrl_c():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with StopSignals() as signals:
            send(signal.SIGINT)
            assert signals.received is None
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


def test_another_thread_than_the_main_one_listens_to_nothing():
    entered = []

    def body():
        with StopSignals() as signals:
            entered.append(signals.received)

    thread = threading.Thread(target=body)
    thread.start()
    thread.join()
    assert entered == [None]
