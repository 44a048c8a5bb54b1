"""The ports in process: for tests and the simulation. Faults and counts are wrappers around them."""

from syncline.memory.cache import MemoryCache
from syncline.memory.clock import ManualClock
from syncline.memory.credentials import MemoryCredentials
from syncline.memory.mail import MemoryMailer, SentMail
from syncline.memory.objects import MemoryObjects
from syncline.memory.queues import MemoryQueues
from syncline.memory.tables import MemoryTables
from syncline.memory.topics import MemoryTopic

__all__ = [
    "ManualClock",
    "MemoryCache",
    "MemoryCredentials",
    "MemoryMailer",
    "MemoryObjects",
    "MemoryQueues",
    "MemoryTables",
    "MemoryTopic",
    "SentMail",
]
