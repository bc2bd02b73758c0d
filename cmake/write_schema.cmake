# Writes what `millwright schema NAME` prints to OUTPUT; a failure leaves no file behind that looks like a schema.
execute_process(COMMAND ${MILLWRIGHT} schema ${NAME} OUTPUT_VARIABLE text RESULT_VARIABLE result)
if(NOT result EQUAL 0)
  message(FATAL_ERROR "${MILLWRIGHT} schema ${NAME} ended with ${result}")
endif()
file(WRITE ${OUTPUT} "${text}")
