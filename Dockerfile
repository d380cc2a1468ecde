# One image; the role is the command: web, worker, beat, migrate, sandbox, or any command of manage.py.
FROM python:3.12-slim

ENV PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1

WORKDIR /app

# Packages change less often than code, so they are a layer of their own. Wheels only: no compiler in the image.
COPY requirements.txt .
RUN pip install --only-binary :all: -r requirements.txt

COPY . .

# The base image's Python is built with --enable-optimizations and LTO. One that is not would cost up to a quarter more processor
# time for each call, so it builds no image.
RUN python -I quota_platform/interpreter.py --optimized

# Static files are gathered into a directory that has to be there first (see settings.py). Settings must be complete for
# that; these serve no one.
RUN mkdir staticfiles \
    && python -m compileall -q manage.py quota_platform tenants limiter dashboard \
    && SECRET_KEY=only-for-collecting-static-files-at-build \
       SECRETS_KEYS=MDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDA= \
       DATABASE_URL=sqlite:///:memory: \
       REDIS_URL=redis://127.0.0.1:1/0 \
       python manage.py collectstatic --no-input --verbosity 0 \
    && useradd --system --uid 10001 --no-create-home quota \
    && mkdir -p /var/lib/quota \
    && chown quota /var/lib/quota

USER quota
ENV VAR_DIR=/var/lib/quota
VOLUME /var/lib/quota
EXPOSE 8000

ENTRYPOINT ["python", "-m", "quota_platform"]
CMD ["web", "--host", "0.0.0.0"]
