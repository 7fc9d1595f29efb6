"""Who may call: access keys with their roles, and the record of what was called.

In: the data folder. Out: keys that a server checks signatures by, and one audit line per call.
"""

from analyzer.access.audit import AuditLog
from analyzer.access.credentials import CredentialsFile
from analyzer.access.keys import AccessKey, Role, new_key
from analyzer.access.ring import KeyRing

__all__ = ["AccessKey", "AuditLog", "CredentialsFile", "KeyRing", "Role", "new_key"]
