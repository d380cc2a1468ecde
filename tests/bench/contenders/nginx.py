"""nginx with its Lua module before the same store and upstream: what a gateway written in C and LuaJIT can do.

It decides one limit, checks no key and records nothing: the practical limit, not an equal.
"""

from __future__ import annotations

import glob
from pathlib import Path

import redis

from quota_platform.embedded import free_port
from tests.bench.contenders.contender import AMPLE, Contender, Rig, plain_targets, which
from tests.bench.processes import Server

_HERE = Path(__file__).parent
_MODULES = ("/usr/lib/nginx/modules", "/usr/lib64/nginx/modules", "/usr/share/nginx/modules")

_CONFIGURATION = """\
{modules}
daemon off;
worker_processes 1;
pid {directory}/nginx.pid;
error_log {directory}/nginx-error.log warn;
events {{ worker_connections 8192; }}
http {{
    access_log off;
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
    keepalive_requests 1000000000;
    lua_package_path "/usr/share/lua/5.1/?.lua;;";
    upstream bench {{
        server 127.0.0.1:{upstream};
        keepalive 1024;
        keepalive_requests 1000000000;
    }}
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        set $store_host {store_host};
        set $store_port {store_port};
        set $digest {digest};
        location /invoke/ {{
            set $quota {ample};
            set $window_us 60000000;
            if ($uri = /invoke/refused) {{ set $quota 1; set $window_us 3600000000; }}
            access_by_lua_file {script};
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            rewrite ^/invoke/(.*)$ /webactions/$1/invoke break;
            proxy_pass http://bench;
        }}
    }}
}}
"""


def available() -> bool:
    """True where nginx and its Lua module are installed."""
    return which("nginx") is not None and _modules() is not None


def start(rig: Rig) -> Contender:
    port = free_port()
    with redis.Redis.from_url(rig.redis_url) as store:
        digest = str(store.script_load((_HERE / "sliding_log.lua").read_text()))
        where = store.connection_pool.connection_kwargs
    configuration = rig.directory / "nginx.conf"
    configuration.write_text(
        _CONFIGURATION.format(
            modules=_modules(),
            directory=rig.directory,
            upstream=rig.upstream_port,
            port=port,
            store_host=where["host"],
            store_port=where["port"],
            digest=digest,
            ample=AMPLE,
            script=_HERE / "limit.nginx.lua",
        )
    )
    command = [which("nginx") or "nginx", "-p", str(rig.directory), "-c", str(configuration), "-e", "stderr"]
    server = Server("nginx", command, port=port, log=rig.directory / "nginx.log")
    return Contender("nginx", "nginx + Lua, one limit", server, plain_targets(port))


def _modules() -> str | None:
    """The lines that load the Lua module, or None when it is not there."""
    for directory in _MODULES:
        if found := glob.glob(f"{directory}/ngx_http_lua_module.so"):
            return f"load_module {directory}/ndk_http_module.so;\nload_module {found[0]};"
    return None
