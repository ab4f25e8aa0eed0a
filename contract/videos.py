"""What counts as a video, for the probe that looks at an upload and for the job that decodes it.

A display matrix maps stored coordinates to shown ones (ISO/IEC 14496-12, 8.3.2: nine 32-bit numbers in rows a b u,
c d v, x y w; x' = ax + cy, y' = bx + dy, x to the right and y down; FFmpeg's `libavutil/display.h` has the same
layout). Cameras write quarter turns and mirrorings; any other turn is rounded to the nearest quarter.
"""

import struct

# FFmpeg's names of the containers that carry their own pictures. Playlists and the like (hls, dash, concat, image
# sequences, ...) are left out: they make the decoder open other files and addresses.
CONTAINERS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,mpegvideo,m4v,h264,hevc,av1,obu,ivf,flv,asf,ogg,mxf,nut,dv,"
    "rm,wtv,gif,apng,yuv4mpegpipe"
)
PIXELS_AT_MOST = 16384 * 8640  # of one picture; beyond 16K, and a header may claim anything

_QUARTERS = {  # clockwise degrees -> a, b, c, d
    0: (1, 0, 0, 1),
    90: (0, 1, -1, 0),
    180: (-1, 0, 0, -1),
    270: (0, -1, 1, 0),
}


def orientation(matrix: bytes) -> tuple[int, bool]:
    """Clockwise degrees, and whether it is flipped horizontally after the turn, of what stands upright then.

    `matrix` is a display matrix, 36 bytes in the machine's byte order.
    """
    a, b, _, c, d, *_ = struct.unpack("=9i", matrix)
    fits = {
        # A horizontal flip after the turn negates what x' is made of: a and c.
        (degrees, mirrored): sign * (a * qa + c * qc) + b * qb + d * qd
        for degrees, (qa, qb, qc, qd) in _QUARTERS.items()
        for mirrored, sign in ((False, 1), (True, -1))
    }
    return max(fits, key=lambda fitting: fits[fitting])
