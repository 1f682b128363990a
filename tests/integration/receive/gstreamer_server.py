# SPDX-License-Identifier: Apache-2.0
"""Run by the system's Python, which has PyGObject: serve a clip with GStreamer's RTSP server.

    python3 gstreamer_server.py CLIP CODEC [--audio aac|pcma|opus] [--user NAME:PASSWORD] [--basic] [--tls CERT KEY]

Prints the port. Nothing of Closed Circuit is imported: this is a server that we did not write.
"""

import argparse
import sys

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtsp", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import Gio, GLib, Gst, GstRtsp, GstRtspServer  # noqa: E402 - the versions are chosen above


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("clip")
    parser.add_argument("codec", choices=["h264", "h265"])
    parser.add_argument("--audio", default="")
    parser.add_argument("--user", default="")
    parser.add_argument("--basic", action="store_true")
    parser.add_argument("--tls", nargs=2, default=None)
    parser.add_argument("--mtu", type=int, default=1400)
    options = parser.parse_args()
    Gst.init(None)
    server = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service("0")
    pay = f"{options.codec}parse ! rtp{options.codec}pay name=pay0 pt=96 mtu={options.mtu}"
    launch = f"( filesrc location={options.clip} ! qtdemux name=d d.video_0 ! queue ! {pay}"
    if options.audio == "aac":
        launch += " d.audio_0 ! queue ! aacparse ! rtpmp4gpay name=pay1 pt=97"
    elif options.audio == "pcma":
        launch += " audiotestsrc is-live=true ! audio/x-raw,rate=8000,channels=1 ! alawenc ! rtppcmapay name=pay1 pt=8"
    elif options.audio == "opus":
        launch += (
            " audiotestsrc is-live=true ! audio/x-raw,rate=48000,channels=1 ! opusenc ! rtpopuspay name=pay1 pt=97"
        )
    factory = GstRtspServer.RTSPMediaFactory()
    factory.set_launch(launch + " )")
    server.get_mount_points().add_factory("/cam", factory)
    if options.user or options.tls:
        auth = GstRtspServer.RTSPAuth()
        if options.tls:
            auth.set_tls_certificate(Gio.TlsCertificate.new_from_files(*options.tls))
        if options.user:
            name, _, password = options.user.partition(":")
            token = GstRtspServer.RTSPToken.new()
            token.set_string("media.factory.role", "viewer")
            if options.basic:
                auth.set_supported_methods(GstRtsp.RTSPAuthMethod.BASIC)
                auth.add_basic(GstRtspServer.RTSPAuth.make_basic(name, password), token)
            else:
                auth.set_supported_methods(GstRtsp.RTSPAuthMethod.DIGEST)
                auth.add_digest(name, password, token)
            role = GstRtspServer.RTSPPermissions()
            role.add_permission_for_role("viewer", "media.factory.access", True)
            role.add_permission_for_role("viewer", "media.factory.construct", True)
            factory.set_permissions(role)
        server.set_auth(auth)
    server.attach(None)
    print(server.get_bound_port(), flush=True)
    GLib.MainLoop().run()


if __name__ == "__main__":
    sys.exit(main())
