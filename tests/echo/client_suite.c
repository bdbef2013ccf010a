#include "echo.h"

extern const struct socketio_application_ops client_suite_ops;
const struct echo_application echo_client_suite = {0};
