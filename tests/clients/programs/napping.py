"""A cell to be interrupted, which says "begun" when it can be.

Not from the thread that is interrupted: ipykernel loses what it was about to do when an interrupt comes in the middle
of its own code for `print`, whichever zmq it has. One in a thousand is lost even so, which is why a user of this cell
interrupts again after `PATIENCE` seconds.
"""

PATIENCE = 15

CELL = """
import sys, threading, time
def nap():
    time.sleep(1000)
def tell(sleeper):
    while sys._current_frames()[sleeper].f_code.co_name != "nap":
        time.sleep(0.001)
    print("begun", flush=True)
threading.Thread(target=tell, args=(threading.get_ident(),)).start()
nap()
"""
