# sercli in a container, for any user id.
#
#   docker build -t sercli .
#   docker run --rm --user "$(id -u):$(id -g)" --shm-size 1g -v "$PWD:/sercli" sercli train
#
# On x86 the default index has torch for NVIDIA GPUs (run with --gpus all). An image for CPUs is some
# gigabytes smaller: --build-arg TORCH_INDEX=URL, the CPU index that pytorch.org names.
FROM python:3.11-slim

ARG TORCH_INDEX=
ARG EXTRAS=postgresql,slurm

# The compiler makes the fused kernels on first use; ffmpeg reads M4A, MP4 and WMA.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ffmpeg g++ \
    && rm -rf /var/lib/apt/lists/*

WORKDIR /src
COPY constraints.txt .
RUN pip install --no-cache-dir ${TORCH_INDEX:+--index-url "$TORCH_INDEX"} \
    "$(grep '^torch==' constraints.txt)"

COPY pyproject.toml README.md LICENSE ./
COPY sercli sercli
COPY conf conf
COPY sweeps sweeps
RUN pip install --no-cache-dir --constraint constraints.txt ".[$EXTRAS]"

# Data, store and runs are in the folder that is mounted here. Without a home, compiled kernels lie in
# /tmp; XDG_CACHE_HOME=/sercli/.cache keeps them from one container to the next.
WORKDIR /sercli
ENTRYPOINT ["sercli"]
CMD ["--help"]
