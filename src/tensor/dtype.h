// Element types are part of the public contract; rooms include them from here.
#pragma once

#include "warmset/dtype.h"
