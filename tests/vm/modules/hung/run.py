import threading

from aurora import sdk

sdk.ready()
print("I am up, and now I hang", flush=True)
threading.Event().wait()
