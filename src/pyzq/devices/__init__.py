"""Proxies that run in a thread or process of their own.

    device = pyzq.devices.ThreadProxy(pyzq.ROUTER, pyzq.DEALER)
    device.bind_in("tcp://*:5555")
    device.bind_out("tcp://*:5556")
    device.start()

A device makes its sockets where it runs, from what was said before `start`. It ends when its context is terminated.
"""

from __future__ import annotations

from pyzq.devices.basedevice import Device, ProcessDevice, ThreadDevice
from pyzq.devices.monitoredqueue import monitored_queue
from pyzq.devices.monitoredqueuedevice import MonitoredQueue, ProcessMonitoredQueue, ThreadMonitoredQueue
from pyzq.devices.proxydevice import ProcessProxy, Proxy, ThreadProxy
from pyzq.devices.proxysteerabledevice import ProcessProxySteerable, ProxySteerable, ThreadProxySteerable
from pyzq.proxy import device, proxy, proxy_steerable

__all__ = [
    "Device",
    "MonitoredQueue",
    "ProcessDevice",
    "ProcessMonitoredQueue",
    "ProcessProxy",
    "ProcessProxySteerable",
    "Proxy",
    "ProxySteerable",
    "ThreadDevice",
    "ThreadMonitoredQueue",
    "ThreadProxy",
    "ThreadProxySteerable",
    "device",
    "monitored_queue",
    "proxy",
    "proxy_steerable",
]
