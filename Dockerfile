# One image for every command; the role is an argument:
#   docker build --tag seedstream .
#   docker run --rm --read-only --env SEEDSTREAM_BROKER=kafka://kafka:9092 seedstream worker generate
# An embedded log (sqlite:runs, the default) lies below /data: mount a volume there that user 65532 can write.
FROM python:3.11.14-slim-bookworm AS build
WORKDIR /source
COPY . .
RUN pip wheel --no-cache-dir --no-deps --wheel-dir /wheels . \
    && python -m venv --without-pip /opt/seedstream \
    && pip --python /opt/seedstream/bin/python install --no-cache-dir --constraint constraints.txt /wheels/*.whl

FROM python:3.11.14-slim-bookworm
LABEL org.opencontainers.image.title="Seedstream" \
      org.opencontainers.image.description="Self-Instruct as a stream" \
      org.opencontainers.image.licenses="Apache-2.0"
# The image has its standard library uncompiled, and nothing is compiled at run time: each command would do it anew.
RUN python -m pip uninstall --yes pip setuptools wheel \
    && python -m compileall -q -x '/(idlelib|lib2to3|site-packages|test|turtledemo)/' /usr/local/lib/python3.11 \
    && install --directory --owner=65532 --group=65532 /data
COPY --from=build /opt/seedstream /opt/seedstream
ENV PATH=/opt/seedstream/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    HOME=/tmp
WORKDIR /data
USER 65532:65532
ENTRYPOINT ["seedstream"]
CMD ["--help"]
