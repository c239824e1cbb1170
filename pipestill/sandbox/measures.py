"""What keeps a program in: the measures, each tried when a sandbox starts."""

MEASURES = {  # strongest first
    "mounts": "the program sees Python's standard library and an empty folder, no other file (mount namespace)",
    "pids": "the program sees no other process, and nothing that it starts outlives it (process namespace)",
    "network": "there is no network but an idle loopback (network namespace)",
    "ipc": "there is no shared memory or queue of others (IPC namespace)",
    "user": "the program runs as another user or in a user namespace of its own, without capabilities",
    "seccomp": "the kernel refuses new processes, programs, sockets, traces and mounts",
    "landlock": "the kernel refuses files outside the standard library and the program's folder",
    "limits": "the kernel bounds processor time, memory, files and threads",
    "audit": "the interpreter refuses files, processes, sockets and foreign calls (audit hook)",
}
