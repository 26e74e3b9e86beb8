#!/usr/bin/env python3
"""Makes the files of tests/image/golden with the libraries that sula imitates.

    python3 -m venv VENV && VENV/bin/pip install pillow==11.3.0 opencv-python-headless==4.12.0.88
    VENV/bin/python tests/image/make_golden.py

Not part of a test run. The pictures come from `picture` below, of which golden_test.cc has the twin; what is
stored of a result is its CRC-32, and its bytes where they are few.

    resize.txt  KIND width height channels -> width height: checksum [bytes]
    fill.txt    width height channels, dtype, dims, settings: checksum of the input's bytes
    decode.txt  FILE width height channels checksum: files whose pixels are fixed
    *.png ...   pictures; for X.jpg, X.jpg.png holds what libjpeg (by way of Pillow) makes of it
"""
import io
import os
import struct
import zlib

import cv2
import numpy as np
from PIL import Image, ImageOps

FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "golden")


def picture(width, height, channels, extreme=False):
    """Noise in [height, width, channels]: the upper byte of a linear congruential generator (Numerical Recipes),
    or, if extreme, black and white by its upper bit."""
    state = width * 1000003 + height * 1009 + channels
    values = []
    for _ in range(width * height * channels):
        state = (state * 1664525 + 1013904223) & 0xFFFFFFFF
        values.append((state >> 31) * 255 if extreme else state >> 24)
    return np.array(values, np.uint8).reshape(height, width, channels)


def smooth(width, height):
    """What cameras see, more or less: gradients and edges."""
    y, x = np.mgrid[0:height, 0:width]
    planes = [x * 255 // max(width - 1, 1) + 0 * y, 128 + 100 * np.sin(x / 5 + y / 3), 200 * ((x // 6 + y // 5) % 2) + 20]
    return np.stack(planes, -1).astype(np.uint8)


def squeeze(a):
    return a[..., 0] if a.shape[-1] == 1 else a


KINDS = {
    "nearest-pil": Image.Resampling.NEAREST, "box-pil": Image.Resampling.BOX, "bilinear-pil": Image.Resampling.BILINEAR,
    "bicubic-pil": Image.Resampling.BICUBIC, "lanczos-pil": Image.Resampling.LANCZOS,
    "nearest-opencv": cv2.INTER_NEAREST, "bilinear-opencv": cv2.INTER_LINEAR, "area-opencv": cv2.INTER_AREA,
}


def resize(a, width, height, kind):
    """[height, width, channels], or without channels if grey."""
    if kind.endswith("-opencv"):
        return cv2.resize(squeeze(a), (width, height), interpolation=KINDS[kind])
    return np.asarray(Image.fromarray(squeeze(a)).resize((width, height), KINDS[kind]))


# Up, down, both, odd, whole factors, one pixel, one row, one column, the same size.
SIZES = [(1, 1, 1, 1), (1, 1, 5, 4), (5, 4, 1, 1), (1, 9, 1, 4), (9, 1, 4, 1), (2, 2, 3, 3), (3, 3, 2, 2), (4, 4, 2, 2), (8, 6, 4, 3),
         (9, 6, 3, 2), (12, 8, 4, 4), (12, 9, 6, 3), (7, 5, 13, 11), (13, 11, 7, 5), (10, 10, 20, 20), (10, 10, 30, 10), (16, 9, 9, 16),
         (31, 17, 30, 18), (17, 31, 17, 12), (31, 17, 12, 17), (40, 30, 27, 19), (27, 19, 40, 30), (64, 48, 17, 13), (50, 50, 49, 49),
         (49, 49, 50, 50), (100, 3, 7, 40), (3, 100, 40, 7), (97, 89, 16, 16), (16, 16, 97, 89), (120, 80, 32, 32), (64, 64, 16, 16),
         (60, 90, 20, 30), (33, 33, 33, 33), (224, 10, 100, 9), (5, 224, 6, 100)]


def golden_resize():
    lines = []
    for kind in KINDS:
        for w, h, to_w, to_h in SIZES:
            for channels in (1, 3):
                for extreme in (False, True):
                    out = resize(picture(w, h, channels, extreme), to_w, to_h, kind).tobytes()
                    shown = " " + out.hex() if len(out) <= 12 else ""
                    lines.append(f"{kind} {w} {h} {channels} {int(extreme)} {to_w} {to_h} {zlib.crc32(out):08x}{shown}")
    return lines


def torchvision(a, shorter, width, height, kind):
    """transforms.Resize(shorter), transforms.CenterCrop((height, width))."""
    h, w = a.shape[:2]
    if w <= h:
        to_w, to_h = shorter, int(shorter * h / w)
    else:
        to_w, to_h = int(shorter * w / h), shorter
    out = resize(a, to_w, to_h, kind)
    top, left = int(round((to_h - height) / 2.0)), int(round((to_w - width) / 2.0))
    return out[top:top + height, left:left + width]


def letterbox(a, width, height, colour, kind):
    """As the tools around YOLO v5 and later do it: scale to fit, round, put in the middle."""
    h, w = a.shape[:2]
    r = min(height / h, width / w)
    to_w, to_h = int(round(w * r)), int(round(h * r))
    dw, dh = (width - to_w) / 2, (height - to_h) / 2
    out = resize(a, to_w, to_h, kind) if (w, h) != (to_w, to_h) else a
    top, bottom = int(round(dh - 0.1)), int(round(dh + 0.1))
    left, right = int(round(dw - 0.1)), int(round(dw + 0.1))
    return cv2.copyMakeBorder(out, top, bottom, left, right, cv2.BORDER_CONSTANT, value=colour)


def normalise(a, scale, mean, std, planar, dtype):
    v = (a.astype(np.float64) * scale - np.array(mean, np.float64)) / np.array(std, np.float64)
    if v.ndim == 2:
        v = v[..., None]
    if planar:
        v = v.transpose(2, 0, 1)
    if np.issubdtype(dtype, np.integer):
        v = np.clip(np.rint(v), np.iinfo(dtype).min, np.iinfo(dtype).max)
    if dtype == np.float16:
        v = v.astype(np.float32)
    return np.ascontiguousarray(v[None].astype(dtype))


def golden_fill():
    lines = []

    def add(a, out, text):
        h, w, c = a.shape
        dims = ",".join(map(str, out.shape))
        lines.append(f"{w} {h} {c} {out.dtype} {dims} {zlib.crc32(out.tobytes()):08x} {text}")

    imagenet = (1 / 255, [0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
    for w, h in ((90, 60), (60, 90), (64, 64), (41, 173), (300, 200)):
        a = picture(w, h, 3)
        for size in (28, 31, 32):
            out = normalise(torchvision(a, 32, size, size, "bilinear-pil"), *imagenet, True, np.float32)
            add(a, out, "imagenet fit=crop(32)")
        add(a, normalise(torchvision(a, 40, 36, 25, "bicubic-pil"), *imagenet, False, np.float32),
            "imagenet resize=bicubic-pil fit=crop(40) size=36x25 layout=nhwc")
        add(a, normalise(resize(a, 33, 21, "bilinear-opencv")[..., ::-1], 1, [104, 117, 123], [1], True, np.float32), "caffe")
        add(a, normalise(resize(a, 33, 21, "bilinear-opencv"), 1 / 127.5, [1], [1], False, np.float32), "tf")
        for size in ((64, 64), (48, 37), (200, 333)):
            out = letterbox(a, *size, (114, 114, 114), "bilinear-opencv")
            add(a, normalise(out, 1 / 255, [0], [1], True, np.float32), f"yolo size={size[0]}x{size[1]}")
        add(a, normalise(letterbox(a, 50, 50, (9, 80, 255), "area-opencv"), 1, [0], [1], False, np.uint8),
            "raw resize=area-opencv fit=letterbox(9,80,255)")
        add(a, normalise(resize(a, 20, 20, "box-pil"), 1, [128], [1], False, np.int8), "raw resize=box-pil mean=128")
        add(a, normalise(resize(a, 20, 20, "nearest-pil"), 1 / 255, [0.5], [0.25], True, np.float16),
            "unit resize=nearest-pil mean=0.5 std=0.25")
        grey = np.asarray(Image.fromarray(a).convert("L"))[..., None]
        add(a, normalise(resize(grey, 28, 28, "bilinear-pil"), 1 / 255, [0.1307], [0.3081], True, np.float32),
            "unit order=gray mean=0.1307 std=0.3081")
        add(a, normalise(a, 0.5, [3.25], [1], False, np.uint8), "raw fit=none scale=0.5 mean=3.25")
        one = picture(w, h, 1)
        rgb = np.repeat(resize(one, 24, 24, "bilinear-pil")[..., None], 3, -1)
        add(one, normalise(rgb, 1 / 255, [0], [1], True, np.float32), "unit")
    return lines


def png_chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def interlaced_png(a):
    """Adam7, which Pillow reads but does not write; filter 0."""
    h, w, c = a.shape
    rows = b""
    for x0, y0, dx, dy in ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)):
        part = a[y0::dy, x0::dx]
        if part.size:
            rows += b"".join(b"\0" + row.tobytes() for row in part)
    head = struct.pack(">IIBBBBB", w, h, 8, 2 if c == 3 else 0, 0, 0, 1)
    return b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", head) + png_chunk(b"IDAT", zlib.compress(rows)) + png_chunk(b"IEND", b"")


def bmp(w, h, bits, rows, palette=b"", masks=(), old=False, top_down=False):
    """`rows` from the top, each without padding."""
    rows = [r + b"\0" * (-len(r) % 4) for r in (rows if top_down else rows[::-1])]
    head = (struct.pack("<IHHHH", 12, w, h, 1, bits) if old else
            struct.pack("<IiiHHIIiiII", 40, w, -h if top_down else h, 1, bits, 3 if masks else 0, 0, 0, 0, 0, 0))
    head += struct.pack(f"<{len(masks)}I", *masks) + palette
    offset = 14 + len(head)
    return struct.pack("<2sIHHI", b"BM", offset + sum(map(len, rows)), 0, 0, offset) + head + b"".join(rows)


def packed(indices, bits):
    """Rows of indices of 1 or 4 bits."""
    out = []
    for row in indices:
        digits = "".join(f"{v:0{bits}b}" for v in row)
        digits += "0" * (-len(digits) % 8)
        out.append(int(digits, 2).to_bytes(len(digits) // 8, "big"))
    return out


def golden_files():
    """name -> bytes of every file, and the lines of decode.txt."""
    files, lines = {}, []

    def save(name, image, fmt, **options):
        out = io.BytesIO()
        image.save(out, fmt, **options)
        files[name] = out.getvalue()

    def expect(name, pixels):
        pixels = np.ascontiguousarray(pixels)
        channels = 1 if pixels.ndim == 2 else 3
        lines.append(f"{name} {pixels.shape[1]} {pixels.shape[0]} {channels} {zlib.crc32(pixels.tobytes()):08x}")

    a = smooth(21, 13)
    rgb = Image.fromarray(a)
    grey, indexed, few = rgb.convert("L"), rgb.quantize(40), rgb.quantize(9)
    alpha = rgb.convert("RGBA")
    alpha.putalpha(grey)
    save("rgb.png", rgb, "PNG"), expect("rgb.png", a)
    save("gray.png", grey, "PNG"), expect("gray.png", np.asarray(grey))
    save("bits1.png", rgb.convert("1"), "PNG"), expect("bits1.png", np.asarray(rgb.convert("1").convert("L")))
    save("palette.png", indexed, "PNG"), expect("palette.png", np.asarray(indexed.convert("RGB")))
    save("palette4.png", few, "PNG"), expect("palette4.png", np.asarray(few.convert("RGB")))
    save("palette_alpha.png", indexed, "PNG", transparency=3), expect("palette_alpha.png", np.asarray(indexed.convert("RGB")))
    save("rgba.png", alpha, "PNG"), expect("rgba.png", np.asarray(alpha.convert("RGB")))
    save("gray_alpha.png", alpha.convert("LA"), "PNG"), expect("gray_alpha.png", np.asarray(alpha.convert("LA").convert("L")))
    deep = (smooth(11, 7).astype(np.uint16) << 8) + np.arange(11 * 7 * 3, dtype=np.uint16).reshape(7, 11, 3) % 256
    files["deep.png"] = cv2.imencode(".png", deep[..., ::-1])[1].tobytes()
    expect("deep.png", cv2.imdecode(np.frombuffer(files["deep.png"], np.uint8), cv2.IMREAD_COLOR)[..., ::-1])
    files["interlaced.png"] = interlaced_png(a)
    expect("interlaced.png", np.asarray(Image.open(io.BytesIO(files["interlaced.png"]))))

    save("rgb.bmp", rgb, "BMP"), expect("rgb.bmp", a)
    save("palette.bmp", indexed, "BMP"), expect("palette.bmp", np.asarray(indexed.convert("RGB")))
    save("rgba.bmp", alpha, "BMP"), expect("rgba.bmp", a)
    colours = np.array(few.getpalette()[:27], np.uint8).reshape(9, 3)
    table = b"".join(bytes(c[::-1]) + b"\0" for c in colours)
    files["bits4.bmp"] = bmp(21, 13, 4, packed(np.asarray(few), 4), table + b"\0" * 28)
    bits = np.asarray(rgb.convert("1")).astype(int)
    files["bits1.bmp"] = bmp(21, 13, 1, packed(bits, 1), b"\x10\x20\x30\0\xf0\xe0\xd0\0")
    files["old.bmp"] = bmp(21, 13, 24, [r[:, ::-1].tobytes() for r in a], old=True)
    files["top_down.bmp"] = bmp(21, 13, 24, [r[:, ::-1].tobytes() for r in a], top_down=True)
    wide = a.astype(np.uint32)
    r565 = (wide[..., 0] >> 3 << 11 | wide[..., 1] >> 2 << 5 | wide[..., 2] >> 3).astype("<u2")
    files["mask565.bmp"] = bmp(21, 13, 16, [r.tobytes() for r in r565], masks=(0xF800, 0x7E0, 0x1F))
    r555 = (wide[..., 0] >> 3 << 10 | wide[..., 1] >> 3 << 5 | wide[..., 2] >> 3).astype("<u2")
    files["mask555.bmp"] = bmp(21, 13, 16, [r.tobytes() for r in r555])
    for name in ("bits4.bmp", "bits1.bmp", "old.bmp", "top_down.bmp", "mask565.bmp", "mask555.bmp"):
        expect(name, np.asarray(Image.open(io.BytesIO(files[name])).convert("RGB")))

    def jpeg(name, image, **options):
        save(name, image, "JPEG", **options)
        out = ImageOps.exif_transpose(Image.open(io.BytesIO(files[name])))
        save(name + ".png", out, "PNG")

    big = Image.fromarray(smooth(37, 27))
    for name, subsampling in (("444", 0), ("422", 1), ("420", 2)):
        jpeg(f"{name}.jpg", big, quality=85, subsampling=subsampling)
    jpeg("progressive.jpg", big, quality=85, progressive=True)
    jpeg("restart.jpg", big, quality=85, restart_marker_blocks=2)
    jpeg("gray.jpg", big.convert("L"), quality=85)
    jpeg("pixel.jpg", Image.fromarray(picture(1, 1, 3)))
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        jpeg(f"turned{orientation}.jpg", rgb, quality=90, exif=exif)
    save("cmyk.jpg", rgb.convert("CMYK"), "JPEG")
    return files, lines


def main():
    os.makedirs(FOLDER, exist_ok=True)
    for old in os.listdir(FOLDER):
        os.remove(os.path.join(FOLDER, old))
    files, decode = golden_files()
    for name, lines in (("resize.txt", golden_resize()), ("fill.txt", golden_fill()), ("decode.txt", decode)):
        files[name] = ("\n".join(lines) + "\n").encode()
    for name, data in files.items():
        with open(os.path.join(FOLDER, name), "wb") as f:
            f.write(data)


if __name__ == "__main__":
    main()
